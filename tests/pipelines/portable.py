"""A pipeline that is taken along in a bundle: with a file beside it, types, hooks and ways to fail."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from zenweb import Default, get_step_context, log_metadata, pipeline, step, today
from zenweb.artifacts.utils import save_artifact


@step
def load(
    rows: Annotated[int, Field(ge=1, le=100)] = 3,
    day: Annotated[date, Default(today)] = date(2020, 1, 1),
    orders: Path | None = None,
) -> Annotated[list[int], "table"]:
    log_metadata({"day": day, "orders": orders.read_text() if orders else ""})
    return list(range(rows))


def regret(error: BaseException) -> None:
    print(f"regretting {error}")


@step(retry={"max_retries": 1}, on_failure=regret)
def fit(
    table: list[int],
    rate: Annotated[float, Field(gt=0, le=1)] = 0.1,
    key: SecretStr | None = None,
    fails: Literal["never", "once", "always"] = "never",
) -> Annotated[float, "score"]:
    print(f"fitting with {key.get_secret_value() if key else 'no key'}")
    attempt = get_step_context().attempt
    save_artifact(attempt, "tries")
    if fails == "always" or (fails == "once" and attempt == 1):
        raise ValueError(f"no luck in attempt {attempt}")
    return sum(table) * rate


@step
def tell(score: float, words: str) -> str:
    save_artifact([score], "scores")
    return f"{words}: {score:g}, {Path('greeting.txt').read_text()}"


@step
def interrupt(after: str) -> None:
    raise KeyboardInterrupt


@pipeline
def portable_pipeline(times: int = 1, interrupted: bool = False) -> None:
    for number in range(times):
        told = tell(fit(load()), f"Score {number}")
        if interrupted:
            interrupt(told)
