"""A step that runs once for each element of lists, some of which are known only at run time."""

from typing import Annotated, Any

from pydantic import SecretStr

from zenweb import pipeline, step, unmapped


@step
def regions(count: int = 3) -> Annotated[list[str], "regions"]:
    return [f"r{number}" for number in range(count)]


@step
def weights(count: int = 3) -> Annotated[list[int], "weights"]:
    return [number * 10 for number in range(count)]


@step
def train(region: str, weight: int = 1, rate: float = 0.5) -> Annotated[str, "model"]:
    return f"{region}*{weight}@{rate}"


@step
def check(model: str, all_regions: list[str]) -> Annotated[str, "checked"]:
    return f"{model} of {len(all_regions)}"


@step
def collect(models: list[str]) -> Annotated[list[str], "all_models"]:
    return models


@step
def count_up(models: Any = None) -> Annotated[int, "count"]:
    return len(models)


@pipeline
def mapped_pipeline() -> None:
    collect(train.map(region=regions()))


@pipeline
def zipped_pipeline() -> None:
    collect(train.map(region=regions(), weight=weights(), rate=0.25))


@pipeline
def chained_pipeline() -> None:
    found = regions()
    collect(check.map(model=train.map(region=found), all_regions=unmapped(found)))


@pipeline
def literal_pipeline() -> None:
    collect(train.map(region=["north", "south"]))


@pipeline
def paired_pipeline() -> None:
    check.map(model=train.map(region=["north", "south"], weight=[1, 2]), all_regions=unmapped(["north"]))


@pipeline
def secret_pipeline() -> None:
    tell.map(region=regions())


@step
def tell(region: str, token: SecretStr) -> None:
    print(region, token.get_secret_value())


@step
def ends(number: int, failing: str = "") -> Annotated[int, "number"]:
    if str(number * 10) in failing.split(","):
        raise ValueError(f"no {number}")
    return number


@step
def numbers(count: int = 3) -> Annotated[list[int], "numbers"]:
    return list(range(count))


@step
def beside() -> None: ...


@step
def total(numbers: list[int]) -> Annotated[int, "total"]:
    return sum(numbers)


@pipeline(enable_cache=False)
def failing_pipeline() -> None:
    total(ends.map(number=numbers()))
    beside()
