"""The samples of the run templates' manual, as their readers type them."""

from uuid import UUID

import pandas as pd

from zenweb import pipeline, step
from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.artifacts.utils import load_artifact
from zenweb.client import Client
from zenweb.config.pipeline_run_configuration import PipelineRunConfiguration


@pipeline
def my_pipeline() -> None: ...


@step
def trainer(data_artifact_id: str) -> None:
    df: pd.DataFrame = load_artifact(data_artifact_id)
    print(df)


@pipeline
def training_pipeline() -> None:
    trainer()  # its parameter is left to the run


@step
def load_data() -> pd.DataFrame:
    return pd.DataFrame()


@step
def trigger_pipeline(df: UnmaterializedArtifact) -> None:
    run_config = PipelineRunConfiguration(steps={"trainer": {"parameters": {"data_artifact_id": df.id}}})
    Client().trigger_pipeline("training_pipeline", run_configuration=run_config)


@step
def trigger_specific_template(df: UnmaterializedArtifact) -> None:
    run_config = PipelineRunConfiguration(steps={"trainer": {"parameters": {"data_artifact_id": df.id}}})
    template_id = UUID("5b0a2a5e-43a5-4ef9-8c5b-f1f6d0cd9f3c")
    Client().trigger_pipeline(template_id=template_id, run_configuration=run_config)
    client = Client()
    template = client.get_run_template(name="my-specific-template-name", hydrate=False)
    client.trigger_pipeline(template_id=template.id, run_configuration=run_config)


@pipeline
def loads_data_and_triggers_training() -> None:
    df = load_data()
    trigger_pipeline(df)  # it gets the artifact, not the value
    trigger_specific_template(df)


def make_templates() -> UUID:
    run = Client().get_pipeline_run("<RUN_NAME_OR_ID>")
    Client().create_run_template(name="<TEMPLATE_NAME>", deployment_id=run.deployment_id)
    template = my_pipeline.create_run_template(name="<TEMPLATE_NAME>")
    return template.id


def run_template(new_value: float) -> str:
    template = Client().get_run_template("<TEMPLATE_NAME>")
    config = template.config_template
    config.steps["my_step"].parameters["my_param"] = new_value
    run = Client().trigger_pipeline(template_id=template.id, run_configuration=config, synchronous=True)
    return run.status


def run_with_plain_values() -> None:
    Client().trigger_pipeline(
        template_id="daily-retraining",
        run_configuration={
            "parameters": {"n_models": 5},
            "steps": {
                "data_loader": {"parameters": {"data_path": "s3://new-data/"}},
                "model_trainer": {"parameters": {"learning_rate": 0.01}},
            },
        },
    )
