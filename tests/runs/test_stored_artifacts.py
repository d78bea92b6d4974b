"""A pipeline hands a step what is stored already: who starts a run has to be allowed to see it."""

from typing import Any

import pytest

from runs_app.models import ArtifactVersion, PipelineRun, StepRun
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from templates_app.services import update_run_template
from tests.factories import freeze, launch, make_template
from tests.runs.test_worker import wait_for
from zenweb.accounts.models import User
from zenweb.artifacts import materializers
from zenweb.exceptions import ValidationFailed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def template(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("stored.stored_pipeline", alice, stacks["celery"]), alice, "stored")


def ended(run: PipelineRun) -> PipelineRun:
    wait_for(lambda: PipelineRun.objects.get(pk=run.pk).is_finished)
    run.refresh_from_db()
    return run


def given(version: ArtifactVersion) -> dict[str, Any]:
    return {"parameters": {"kept": str(version.pk)}}


def test_each_run_loads_it_and_the_cache_knows_it(
    template: RunTemplate, alice: User, bob: User, stacks: dict[str, Stack], worker: StepWorker
) -> None:
    making = make_template(freeze("stored.making_pipeline", alice, stacks["celery"]), alice, "making")
    ended(launch(making, alice))
    version = ArtifactVersion.objects.get()
    run = ended(launch(template, bob, given(version)))
    assert (run.status, run.status_reason) == ("completed", "")
    made = ArtifactVersion.objects.get(producer_step__run=run, producer_step__name="total")
    assert materializers.load(made.uri, made.materializer) == 3
    again = ended(launch(template, bob, given(version)))
    assert set(again.steps.values_list("status", flat=True)) == {"cached"}
    update_run_template(actor=alice, template=making, is_restricted=True)
    with pytest.raises(ValidationFailed, match="which is deleted or which you may not see"):
        launch(template, bob, given(version))
    assert launch(template, alice, given(version)).pk


def test_what_is_not_there_is_refused_before_anything_runs(template: RunTemplate, alice: User) -> None:
    with pytest.raises(ValidationFailed) as caught:
        launch(template, alice)
    assert [error.pointer for error in caught.value.errors] == [
        "/steps/total/parameters/numbers",
        "/steps/name_of/parameters/artifact",
    ]
    assert not StepRun.objects.exists()
