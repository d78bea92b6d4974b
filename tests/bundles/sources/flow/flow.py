"""How steps hang together: several outputs, one step used twice, hooks, retries, fan-out, conditions, order."""

from typing import Annotated, Literal

from zenweb import get_step_context, log_metadata, pipeline, step, unmapped


def succeeded() -> None:
    log_metadata({"hook": "success"})


def failed(error: BaseException) -> None:
    print(f"failed with {error}")


@step
def load(rows: int = 4) -> tuple[Annotated[list[int], "table"], Annotated[str, "title"]]:
    return list(range(rows)), f"{rows} rows"


@step(
    retry={"max_retries": 2, "delay": 0},
    timeout=60,
    priority=3,
    enable_cache=False,
    on_success=succeeded,
    on_failure=failed,
)
def flaky(table: list[int], fails: int = 1) -> Annotated[int, "total"]:
    if get_step_context().attempt <= fails:
        raise ValueError("not yet")
    log_metadata({"attempt": get_step_context().attempt})
    return sum(table)


@step(settings={"resources": {"cpu_count": 1, "memory": "512MB"}}, process="spawn")
def double(number: int, factor: int = 2) -> Annotated[int, "doubled"]:
    return number * factor


@step
def square(number: int, plus: int = 0) -> Annotated[int, "squared"]:
    return number * number + plus


@step
def total(numbers: list[int]) -> Annotated[int, "sum"]:
    return sum(numbers)


@step
def choose(number: int, limit: int = 10) -> Annotated[Literal["small", "large"], "size"]:
    return "large" if number > limit else "small"


@step
def praise(number: int) -> Annotated[str, "praise"]:
    return f"{number} is large"


@step
def console(number: int) -> Annotated[str, "console"]:
    return f"{number} is small"


@step
def last(words: str | None = None) -> Annotated[str, "end"]:
    return f"the end: {words}"


@pipeline(execution_mode="stop_on_failure", timeout=300, on_failure="flow.failed")
def flow_pipeline() -> None:
    table, title = load()
    counted = flaky(table)
    twice = double(counted)
    double(twice, factor=3)
    squared = square.map(number=table, plus=unmapped(counted))
    summed = total(squared)
    size = choose(summed)
    praise(summed, when=(size, "large"))
    console(summed, when=(size, "small"))
    last(title, after=twice)
