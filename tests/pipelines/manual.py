"""The pipelines that ZenML's manual of run templates talks about and does not show."""

from typing import Annotated, Any, Literal

from zenweb import pipeline, step


@step
def data_loader(data_path: str = "s3://old-data/") -> str:
    return data_path


@step
def model_trainer(
    data: str, learning_rate: float = 0.1, model_type: Literal["svm", "rf"] = "svm"
) -> Annotated[dict[str, Any], "model"]:
    return {"data": data, "learning_rate": learning_rate, "model_type": model_type}


@pipeline(enable_cache=False)
def retraining_pipeline() -> None:
    model_trainer(data_loader())


@step
def my_step(my_param: int = 1) -> Annotated[int, "doubled"]:
    return my_param * 2


@pipeline(enable_cache=False)
def pipeline_with_my_step() -> None:
    my_step()
