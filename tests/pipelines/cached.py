"""Steps whose runs can be counted, in the shapes that matter for the cache."""

from typing import Annotated

from zenweb import pipeline, step


@step
def first(value: int = 1) -> Annotated[int, "base"]:
    return value


@step
def second(base: int, factor: int = 2) -> Annotated[int, "product"]:
    return base * factor


@step(enable_cache=False)
def gate() -> None:
    """Runs each time, and gives out nothing that could differ."""


@step
def twin(base: int) -> Annotated[int, "twin"]:
    return base


@step
def last(product: int, base: int) -> Annotated[int, "total"]:
    return product + base


@pipeline
def chain() -> None:
    base = first()
    last(second(base), base)


@pipeline
def diamond() -> None:
    base = first()
    last(second(base), twin(base))


@pipeline
def gated_chain() -> None:
    gate()
    base = first(after="gate")
    last(second(base), base)


@pipeline(enable_cache=False)
def uncached_pipeline() -> None:
    second(first())


@pipeline
def gate_beside_chain() -> None:
    gate()
    second(first())
