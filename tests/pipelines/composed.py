"""Pipelines whose own parameters decide which steps there are, and what these get."""

import time
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from zenweb import ParameterError, pipeline, step


def odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError("an odd number is wanted")
    return number


@step
def train(seed: int, rate: float = 0.1, kind: Literal["svm", "rf"] = "svm") -> float:
    return seed * rate


@step
def report(since: date = date(2026, 1, 1), title: str = "All") -> str:
    return f"{title} since {since}"


@step
def unlock(key: SecretStr | None = None) -> int:
    return len(key.get_secret_value()) if key else 0


@pipeline
def composed_pipeline(
    n_models: Annotated[int, Field(ge=0, le=50)] = 2,
    with_report: bool = True,
    rate: float = 0.1,
    since: date = date(2026, 1, 1),
) -> None:
    """Train some models.

    Args:
        n_models: How many are trained.
        rate: How far each of their steps goes.
    """
    for seed in range(n_models):
        train(seed, rate=rate)
    if with_report:
        report(since)


@step
def tune(start: float = 0.1) -> float:
    return start


@pipeline
def moving_pipeline(
    rate: float = 0.1, way: Literal["plain", "mapped", "tuned"] = "plain", again: int = 0
) -> None:
    """What the rate of `train` is, and of how many."""
    last = tune()
    if way == "tuned":
        last = tune(rate)
        train(1, rate=last)
    elif way == "mapped":
        train.map(seed=1, rate=[0.2, rate])
    else:
        last = train(1, rate=rate)
    train(2, rate=last, id="follower")
    for number in range(again):
        train(number, rate=last, id=f"follower_{number}")


@pipeline
def picky_pipeline(number: Annotated[int, AfterValidator(odd)] = 1, say: str = "") -> None:
    if say == "wrong":
        raise ParameterError("say", "not that")
    if say == "raise":
        raise RuntimeError("the moon is full")
    if say.startswith("wait "):
        while not Path(say.removeprefix("wait ")).exists():
            time.sleep(0.02)
    for seed in range(number):
        train(seed)


@pipeline
def locked_pipeline(doors: int = 0) -> None:
    train(1)
    for _ in range(doors):
        unlock()
