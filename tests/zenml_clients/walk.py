"""What users of ZenML's own Python client do, one thing after the other; runs where only `zenml` is installed."""

import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import zenml
from zenml.client import Client
from zenml.config.pipeline_run_configuration import PipelineRunConfiguration
from zenml.exceptions import EntityExistsError

TEMPLATE, PIPELINE = "training", "training_pipeline"
IS_OLD = zenml.__version__.startswith("0.84.")

client = Client()
things: list[Callable[[], None]] = []


def thing(function: Callable[[], None]) -> Callable[[], None]:
    things.append(function)
    return function


def refused(kind: type[Exception], call: Callable[..., Any], *args: Any, **options: Any) -> str:
    """With which words."""
    try:
        call(*args, **options)
    except kind as error:
        return str(error)
    raise AssertionError(f"{call.__name__} was done")


@thing
def the_default_project_and_stack() -> None:
    assert client.active_project.name == "default"
    assert client.active_stack_model.name == "default"
    assert {stack.name for stack in client.list_stacks()} >= {"default", "celery"}
    assert client.active_user.name


@thing
def pipelines() -> None:
    pipeline = client.get_pipeline(PIPELINE)
    assert client.get_pipeline(str(pipeline.id)[:8]).id == pipeline.id
    assert pipeline.id in {found.id for found in client.list_pipelines(name=f"contains:{PIPELINE[1:6]}")}


@thing
def finding_templates() -> None:
    template = client.get_run_template(TEMPLATE)
    assert client.get_run_template(template.id).name == TEMPLATE
    assert client.get_run_template(str(template.id)).name == TEMPLATE
    assert client.get_run_template(str(template.id)[:8]).name == TEMPLATE
    assert template.runnable
    assert template.config_template["steps"]
    assert template.config_schema["properties"]
    assert template.pipeline.name == PIPELINE
    listed = client.list_run_templates(pipeline_id=template.pipeline.id)
    assert template.id in {found.id for found in listed}
    lazy = next(iter(listed))
    assert lazy.config_template["steps"]  # asked for when it is looked at
    assert not client.list_run_templates(name="startswith:no such thing").items
    one_of = f'oneof:["{TEMPLATE}", "other"]'
    assert [found.name for found in client.list_run_templates(name=one_of)] == [TEMPLATE]


@thing
def what_there_is_not() -> None:
    for wrong in ("no such template", uuid4()):
        refused(KeyError, client.get_run_template, wrong)


@thing
def making_changing_and_deleting_a_template() -> None:
    name = f"made by {zenml.__version__} {uuid4().hex[:6]}"
    run = client.trigger_pipeline(template_id=client.get_run_template(TEMPLATE).id)
    source = run.deployment_id if IS_OLD else run.snapshot.id
    argument = {"deployment_id" if IS_OLD else "snapshot_id": source}
    template = client.create_run_template(name, description="first", tags=["made"], **argument)
    assert template.name == name
    refused(EntityExistsError, client.create_run_template, name, **argument)
    changed = client.update_run_template(
        name, name=f"{name}!", description="second", hidden=True, add_tags=["more"], remove_tags=["made"]
    )
    assert (changed.name, changed.description, changed.hidden) == (f"{name}!", "second", True)
    assert [tag.name for tag in changed.tags] == ["more"]
    client.delete_run_template(template.id)
    refused(KeyError, client.get_run_template, template.id)


def finished(**options: Any) -> Any:
    run = client.trigger_pipeline(synchronous=True, **options)
    assert run.status.value == "completed", run.status
    return run


@thing
def triggering_by_template() -> None:
    by_id = {"template_id": client.get_run_template(TEMPLATE).id}
    step = next(iter(client.get_run_template(TEMPLATE).config_template["steps"]))
    finished(**by_id)
    finished(**by_id, run_configuration=PipelineRunConfiguration(enable_cache=False))
    run = finished(**by_id, run_configuration={"steps": {step: {"enable_cache": False}}, "tags": ["walked"]})
    assert [tag.name for tag in run.tags] == ["walked"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.yaml"
        path.write_text(f"run_name: walked {uuid4().hex}\nenable_cache: true\n")
        assert finished(**by_id, config_path=str(path)).name.startswith("walked ")


@thing
def triggering_by_pipeline() -> None:
    run = finished(pipeline_name_or_id=PIPELINE)
    assert run.pipeline.name == PIPELINE
    finished(pipeline_name_or_id=PIPELINE, run_configuration={"enable_cache": True})
    finished(pipeline_name_or_id=PIPELINE, stack_name_or_id="celery")
    if not IS_OLD:
        finished(snapshot_name_or_id=TEMPLATE, pipeline_name_or_id=PIPELINE)
        assert client.get_snapshot(TEMPLATE, pipeline_name_or_id=PIPELINE).config_template["steps"]


@thing
def what_is_refused() -> None:
    template = client.get_run_template(TEMPLATE)
    step = next(iter(template.config_template["steps"]))
    wrong = {"steps": {step: {"parameters": {"no such parameter": 1}}}}
    sentence = refused(ValueError, client.trigger_pipeline, template_id=template.id, run_configuration=wrong)
    assert "/parameters/no such parameter" in sentence


@thing
def reading_runs() -> None:
    run = finished(template_id=client.get_run_template(TEMPLATE).id)
    listed = client.list_pipeline_runs(
        pipeline_id=run.pipeline.id, status="completed", sort_by="desc:created"
    )
    assert listed.items[0].id == run.id
    assert listed.items[0].config.name == PIPELINE
    assert client.get_pipeline_run(run.name).id == run.id
    assert client.get_pipeline_run(str(run.id)[:13]).id == run.id
    assert run.stack.name == "celery"
    assert run.start_time <= run.end_time
    assert client.get_pipeline(PIPELINE).last_run.status.value == "completed"
    assert client.get_pipeline(PIPELINE).last_successful_run.id == run.id


@thing
def reading_steps() -> None:
    run = finished(
        template_id=client.get_run_template(TEMPLATE).id, run_configuration={"enable_cache": False}
    )
    assert client.list_run_steps(pipeline_run_id=run.id).total == len(run.steps) > 1
    for name, step in run.steps.items():
        assert step.status.value == "completed"
        assert client.get_run_step(step.id).name == step.config.name == name
        assert {run.steps[parent].id for parent in step.spec.upstream_steps} == set(step.parent_step_ids)
        assert step.inputs.keys() == step.spec.inputs.keys()
    cached = finished(template_id=client.get_run_template(TEMPLATE).id)
    assert {step.status.value for step in cached.steps.values()} == {"cached"}


@thing
def reading_artifacts() -> None:
    run = finished(
        template_id=client.get_run_template(TEMPLATE).id, run_configuration={"enable_cache": False}
    )
    made = run.artifact_versions
    assert made
    assert client.list_artifact_versions(pipeline_run=run.name).total == len(made)
    for version in made:
        assert version.run.id == run.id
        assert version.id in {output.id for outputs in version.step.outputs.values() for output in outputs}
        assert client.get_artifact_version(version.id).uri == version.uri
        assert client.get_artifact_version(version.name).id == version.id
        assert client.get_artifact_version(version.name, version.version).id == version.id
        assert client.get_artifact(version.name).latest_version_id == version.id
        assert version.run_metadata["string_representation"]
    assert {found.name for found in client.list_artifacts(size=100)} >= {version.name for version in made}
    assert any(version.visualizations for version in made)


def main() -> int:
    """The number of things that went wrong."""
    return sum(not went_well(step) for step in things)


def went_well(step: Callable[[], None]) -> bool:
    try:
        step()
    except Exception:  # noqa: BLE001 - the others are tried all the same
        traceback.print_exc()
        tell(step, "FAILED")
        return False
    tell(step, "ok")
    return True


def tell(step: Callable[[], None], how: str) -> None:
    words = step.__name__.replace("_", " ")
    print(f"zenml {zenml.__version__}: {words}: {how}", flush=True)  # noqa: T201 - for whoever runs it


if __name__ == "__main__":
    sys.exit(main())
