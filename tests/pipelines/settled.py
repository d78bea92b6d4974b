"""Steps and pipelines with settings of their own."""

from datetime import timedelta

from zenweb import pipeline, step


@step
def plain() -> int:
    return 1


@step(retry={"max_retries": 1}, timeout=timedelta(minutes=1), queue="gpu", priority=5, enable_cache=False)
def settled() -> int:
    return 2


@step
def after_plain(number: int) -> int:
    return number


@step
def joins(left: int, right: int) -> int:
    return left + right


@pipeline
def joined_pipeline() -> None:
    joins(plain(), after_plain.with_options(name="other")(1))


@pipeline(
    retry={"max_retries": 7},
    queue="cpu",
    priority=1,
    enable_cache=True,
    timeout=60,
    execution_mode="fail_fast",
)
def settled_pipeline() -> None:
    after_plain(plain())
    settled.with_options(priority=6)()
