"""A small pipeline with typed parameters, as the tests run it."""

from typing import Annotated, Literal

from pydantic import Field

from zenweb import pipeline, step


@step
def trainer(
    learning_rate: Annotated[float, Field(gt=0, le=1, description="How far each step goes.")] = 0.1,
    model_type: Literal["svm", "rf"] = "svm",
) -> Annotated[float, "score"]:
    """Train a model."""
    print(f"training a {model_type}")
    return learning_rate * 2


@step
def evaluator(score: float, threshold: float = 0.5) -> Annotated[dict[str, float], "metrics"]:
    return {"accuracy": score, "over": float(score > threshold)}


@pipeline
def training_pipeline() -> None:
    evaluator(trainer())
