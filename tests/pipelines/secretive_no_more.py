"""The pipeline of `secretive.py` in a later version, whose author takes no care of secrets any more."""

from zenweb import pipeline, step


@step
def tells(token: str, login: dict[str, str] | None = None, tokens: list[str] = []) -> int:
    return len(token)


@pipeline
def secretive_pipeline() -> None:
    tells()
