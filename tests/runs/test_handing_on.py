"""A step hands its data to other pipelines: artifacts by id and by name, templates in every spelling."""

from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from runs_app.models import ArtifactVersion, PipelineRun
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.artifacts import materializers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def training(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("handing_on.training_pipeline", alice, stacks["celery"]), alice, "training")


@pytest.fixture
def loading(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("handing_on.loading_pipeline", alice, stacks["celery"]), alice, "loading")


@pytest.fixture(autouse=True)
def address(live_server: LiveServer, settings: Any) -> None:
    settings.STEP_SERVER_URL = live_server.url


def load_and_train(
    loading: RunTemplate, training: RunTemplate, user: User, worker: StepWorker
) -> tuple[PipelineRun, list[PipelineRun]]:
    """The run and those that it has started, all ended."""
    given = {"template_id": str(training.pk), "template_name": training.name}
    run = launch(loading, user, {"steps": {"trigger_pipeline": {"parameters": given}}})
    worker.run_ready_steps("default")
    run.refresh_from_db()
    assert run.status == "completed", run.status_reason
    return run, list(PipelineRun.objects.filter(parent_step__run=run).order_by("created"))


def made_by(run: PipelineRun, step: str) -> ArtifactVersion:
    return ArtifactVersion.objects.get(outputs__step__run=run, outputs__step__name=step)


def test_all_spellings_start_a_run_that_loads_the_data(
    loading: RunTemplate, training: RunTemplate, alice: User, worker: StepWorker
) -> None:
    run, started = load_and_train(loading, training, alice, worker)
    data = str(made_by(run, "load_data").pk)
    assert [child.parameters["trainer"]["data"] for child in started] == [data, "training data"] * 2
    assert {child.template for child in started} == {training}
    trained = [made_by(child, "trainer") for child in started]
    assert [materializers.load(version.uri, version.materializer) for version in trained] == [6] * 4


def test_a_step_that_starts_runs_does_so_in_the_next_run_too(
    loading: RunTemplate, training: RunTemplate, alice: User, worker: StepWorker
) -> None:
    """Taken from the cache, it would start none."""
    load_and_train(loading, training, alice, worker)
    run, started = load_and_train(loading, training, alice, worker)
    assert dict(run.steps.values_list("name", "status")) == {
        "load_data": "cached",
        "trigger_pipeline": "completed",
    }
    assert len(started) == 4
