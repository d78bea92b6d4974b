"""Mapped steps and conditions really run: by lists and values that only the steps' processes know."""

from typing import Any

import pytest

from runs_app.models import ArtifactVersion, PipelineRun, StepRun
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.artifacts import materializers
from zenweb.enums import ExecutionStatus

pytestmark = pytest.mark.django_db(transaction=True)


def run_to_its_end(
    name: str, stacks: dict[str, Stack], user: User, worker: StepWorker, **steps: Any
) -> PipelineRun:
    template: RunTemplate = make_template(freeze(name, user, stacks["celery"]), user, "mapped")
    given = {step: {"parameters": parameters} for step, parameters in steps.items()}
    run = launch(template, user, {"steps": given})
    worker.run_ready_steps("default")
    run.refresh_from_db()
    return run


def value_of(run: PipelineRun, name: str) -> Any:
    version = ArtifactVersion.objects.get(artifact__name=name, outputs__step__run=run)
    return materializers.load(version.uri, version.materializer)


def test_twenty_elements_of_two_lists_are_collected_in_order(
    stacks: dict[str, Stack], alice: User, worker: StepWorker
) -> None:
    counts = {"regions": {"count": 20}, "weights": {"count": 20}}
    run = run_to_its_end("mapped.zipped_pipeline", stacks, alice, worker, **counts)
    assert run.status == ExecutionStatus.COMPLETED, run.status_reason
    assert value_of(run, "all_models") == [f"r{number}*{number * 10}@0.25" for number in range(20)]


def test_what_is_mapped_over_a_mapped_step_gets_an_element_each(
    stacks: dict[str, Stack], alice: User, worker: StepWorker
) -> None:
    run = run_to_its_end("mapped.chained_pipeline", stacks, alice, worker)
    assert value_of(run, "all_models") == [f"r{number}*1@0.5 of 3" for number in range(3)]


def test_a_list_of_a_parameter_is_handed_out_by_element(
    stacks: dict[str, Stack], alice: User, worker: StepWorker
) -> None:
    run = run_to_its_end("mapped.literal_pipeline", stacks, alice, worker)
    assert value_of(run, "all_models") == ["north*1@0.5", "south*1@0.5"]


def test_an_element_that_fails_says_which(stacks: dict[str, Stack], alice: User, worker: StepWorker) -> None:
    run = run_to_its_end("mapped.failing_pipeline", stacks, alice, worker, ends={"failing": "10"})
    assert run.status_reason == "Step ends-1 failed: ValueError: no 1"
    completed = StepRun.objects.filter(run=run, status=ExecutionStatus.COMPLETED)
    assert set(completed.values_list("name", flat=True)) == {"numbers", "ends-0", "ends-2", "beside"}


def test_the_branch_that_a_step_decides_for_is_taken_and_joined(
    stacks: dict[str, Stack], alice: User, worker: StepWorker
) -> None:
    run = run_to_its_end("conditional.deploying_pipeline", stacks, alice, worker, score={"value": 0.3})
    assert value_of(run, "report") == "None and kept 0.3"
