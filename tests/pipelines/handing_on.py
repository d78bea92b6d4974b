"""A pipeline that hands what it has loaded to another one, in every way that the manual knows."""

from typing import Annotated
from uuid import UUID

from zenweb import load_artifact, pipeline, step
from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.client import Client
from zenweb.config.pipeline_run_configuration import PipelineRunConfiguration


@step
def load_data() -> Annotated[list[int], "training data"]:
    return [1, 2, 3]


@step(enable_cache=False)
def trainer(data: str) -> int:
    """`data`: an artifact version's id, or an artifact's name."""
    return sum(load_artifact(data))


@pipeline
def training_pipeline() -> None:
    trainer()


@step
def trigger_pipeline(data: UnmaterializedArtifact, template_id: str, template_name: str) -> list[str]:
    def with_data(given: str) -> PipelineRunConfiguration:
        return PipelineRunConfiguration(steps={"trainer": {"parameters": {"data": given}}})

    client = Client()
    started = [
        client.trigger_pipeline("training_pipeline", run_configuration=with_data(data.id)),
        client.trigger_pipeline(template_id=UUID(template_id), run_configuration=with_data(data.name)),
        client.trigger_pipeline(template_id=template_id, run_configuration=with_data(data.id)),
        client.trigger_pipeline(template_id=template_name, run_configuration=with_data(data.name)),
    ]
    return [str(run.id) for run in started]


@pipeline
def loading_pipeline() -> None:
    trigger_pipeline(load_data())
