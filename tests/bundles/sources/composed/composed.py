"""A pipeline whose own parameters decide which steps there are, and what these get."""

from typing import Annotated

from pydantic import Field

from zenweb import pipeline, step


@step
def train(seed: int, rate: float = 0.1) -> Annotated[float, "score"]:
    return round(seed * rate, 6)


@step
def report(title: str = "All") -> Annotated[str, "report"]:
    return f"{title}, reported"


@pipeline
def composed_pipeline(
    models: Annotated[int, Field(ge=0, le=5)] = 2, with_report: bool = True, rate: float = 0.1
) -> None:
    """Train some models.

    Args:
        models: How many are trained.
    """
    for seed in range(models):
        train(seed, rate=rate)
    if with_report:
        report()
