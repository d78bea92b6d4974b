"""What a step saves beside its outputs: kept when it completes, under the id that it was told."""

from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from runs_app.models import ArtifactVersion, PipelineRun, StepOutput
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.artifacts import materializers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def saving(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("saving.saving_pipeline", alice, stacks["celery"]), alice, "saving")


def train(saving: RunTemplate, user: User, worker: StepWorker, **parameters: Any) -> PipelineRun:
    run = launch(saving, user, {"steps": {"train": {"parameters": parameters}}})
    worker.run_ready_steps("default")
    run.refresh_from_db()
    assert run.is_finished
    return run


def checkpoints() -> list[ArtifactVersion]:
    return list(ArtifactVersion.objects.filter(artifact__name="checkpoint").order_by("version"))


def load(version: ArtifactVersion) -> Any:
    return materializers.load(version.uri, version.materializer)


def test_each_value_is_a_version_under_the_id_that_the_step_was_told(
    saving: RunTemplate, alice: User, worker: StepWorker
) -> None:
    step = train(saving, alice, worker).steps.get()
    first, second = checkpoints()
    assert [(version.version, load(version)) for version in (first, second)] == [
        (1, {"epoch": 0}),
        (2, {"epoch": 1}),
    ]
    assert step.metadata == {"best": str(second.pk), "here": 1}
    assert second.metadata["loss"] == 0.5
    assert {first.producer_step, second.producer_step} == {step}


def test_the_newest_of_a_name_stands_among_the_steps_outputs(
    saving: RunTemplate, alice: User, worker: StepWorker
) -> None:
    train(saving, alice, worker)
    outputs = {output.name: load(output.artifact_version) for output in StepOutput.objects.all()}
    assert outputs == {"output": 2, "checkpoint": {"epoch": 1}}


def test_of_a_step_that_fails_nothing_is_kept(saving: RunTemplate, alice: User, worker: StepWorker) -> None:
    assert train(saving, alice, worker, fails=True).status == "failed"
    assert checkpoints() == []


def test_a_step_from_the_cache_gives_it_out_again(
    saving: RunTemplate, alice: User, worker: StepWorker
) -> None:
    train(saving, alice, worker)
    again = train(saving, alice, worker).steps.get()
    assert again.status == "cached"
    assert again.outputs.get(name="checkpoint").artifact_version == checkpoints()[-1]


def test_another_step_loads_it_by_its_name(
    saving: RunTemplate,
    stacks: dict[str, Stack],
    alice: User,
    worker: StepWorker,
    live_server: LiveServer,
    settings: Any,
) -> None:
    settings.STEP_SERVER_URL = live_server.url
    train(saving, alice, worker, epochs=3)
    resuming = make_template(freeze("saving.resuming_pipeline", alice, stacks["celery"]), alice, "resuming")
    run = launch(resuming, alice)
    worker.run_ready_steps("default")
    step = run.steps.get()
    assert step.status == "completed", step.status_reason
    assert load(ArtifactVersion.objects.get(outputs__step=step)) == 2
