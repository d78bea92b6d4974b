"""Steps that run only if what an earlier one returned says so."""

from typing import Annotated, Literal

from zenweb import pipeline, step


@step
def score(value: float = 0.5) -> Annotated[float, "score"]:
    return value


@step
def is_better(score: float, than: float = 0.4) -> bool:
    return score > than


@step
def deploy(score: float) -> Annotated[str, "address"]:
    return f"deployed {score}"


@step
def keep(score: float) -> Annotated[str, "kept"]:
    return f"kept {score}"


@step
def announce(address: str) -> None:
    print(address)


@step
def clean_up() -> None: ...


@step
def report(deployed: str | None = None, kept: str | None = None) -> Annotated[str, "report"]:
    return f"{deployed} and {kept}"


@pipeline(enable_cache=False)
def deploying_pipeline() -> None:
    found = score()
    better = is_better(found)
    address = deploy(found, when=better)
    kept = keep(found, unless=better)
    announce(address)
    clean_up(after=address)
    report(address, kept)


@step
def choose(model: str = "svm") -> Literal["svm", "rf"]:
    return model  # type: ignore[return-value]


@step
def train_svm() -> None: ...


@step
def train_forest() -> None: ...


@pipeline(enable_cache=False)
def choosing_pipeline() -> None:
    chosen = choose()
    train_svm(when=(chosen, "svm"))
    train_forest(when=(chosen, "rf"))


@step
def fit(score: float) -> float:
    return score


@step
def compare(scores: list[float]) -> None: ...


@pipeline(enable_cache=False)
def mapping_pipeline() -> None:
    better = is_better(score())
    compare(fit.map(score=[0.1, 0.2], when=better))
    clean_up(after="fit")


@pipeline(enable_cache=False)
def stopping_pipeline() -> None:
    better = is_better(score())
    announce("nowhere", when=better)
    fit.map(score=[0.1, 0.2], after=better)
