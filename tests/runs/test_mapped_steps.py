"""Steps that are mapped over lists: the rows they become, and how the graph goes on."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs_app import recording
from runs_app.assignments import assignment_for
from runs_app.models import ArtifactVersion, PipelineRun, StepAttempt, StepRun, Worker
from runs_app.recording import StepOutcome
from runs_app.repair import Repair, preview_repair
from runs_app.services import Trigger, repair_run, stop_run
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus, TriggerChannel
from zenweb.execution.protocol import StepException, StoredArtifact

FAILURE = StepOutcome(exception=StepException(type="ValueError", message="no data", traceback="…"))


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


@pytest.fixture
def template(request: pytest.FixtureRequest, stacks: dict[str, Stack], alice: User) -> RunTemplate:
    name = getattr(request, "param", "mapped_pipeline")
    return make_template(freeze(f"mapped.{name}", alice, stacks["celery"]), alice, name)


def of_pipeline(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("template", [name], indirect=True, ids=[name])


def claim(worker: Worker) -> StepAttempt:
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    recording.note_that_it_runs(attempt.step)
    return attempt


def completed(attempt: StepAttempt, length: int | None = None, value: Any = None) -> StepOutcome:
    outputs = assignment_for(attempt).outputs
    stored = StoredArtifact(
        uri=f"/{attempt.step.name}",
        materializer="m.M",
        data_type="t",
        type="DataArtifact",
        length=length,
        value=value,
    )
    return StepOutcome(outputs={output.name: stored for output in outputs})


def complete(worker: Worker, length: int | None = None) -> str:
    attempt = claim(worker)
    assert recording.record_end(attempt, completed(attempt, length))
    return attempt.step.name


def complete_all(worker: Worker, lengths: dict[str, int]) -> list[str]:
    done = []
    while attempt := recording.claim_ready_step(worker, "default"):
        recording.note_that_it_runs(attempt.step)
        assert recording.record_end(attempt, completed(attempt, lengths.get(attempt.step.name)))
        done.append(attempt.step.name)
    return done


def step(run: PipelineRun, name: str) -> StepRun:
    return StepRun.objects.get(run=run, name=name)


def fresh(run: PipelineRun) -> PipelineRun:
    return PipelineRun.objects.get(pk=run.pk)


def test_a_mapped_step_runs_once_for_each_element(template: RunTemplate, alice: User, worker: Worker) -> None:
    run = launch(template, alice)
    assert complete_all(worker, {"regions": 3}) == ["regions", "train-0", "train-1", "train-2", "collect"]
    assert step(run, "train").status == ExecutionStatus.COMPLETED
    assert step(run, "train").elements == 3
    assert fresh(run).status == ExecutionStatus.COMPLETED


def test_each_element_gets_its_own_and_what_follows_gets_all_in_order(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(template, alice)
    complete(worker, 12)
    attempts = [claim(worker) for _ in range(12)]
    assert [assignment_for(attempt).inputs["region"].element for attempt in attempts] == list(range(12))
    for attempt in reversed(attempts):
        recording.record_end(attempt, completed(attempt))
    collected = assignment_for(claim(worker)).collected["models"]
    assert [each.uri for each in collected] == [f"/train-{number}" for number in range(12)]


def test_an_empty_list_is_no_step_and_an_empty_list_for_what_follows(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice)
    complete(worker, 0)
    attempt = claim(worker)
    assert assignment_for(attempt).collected == {"models": []}
    recording.record_end(attempt, completed(attempt))
    assert fresh(run).status == ExecutionStatus.COMPLETED


@of_pipeline("zipped_pipeline")
def test_lists_of_different_lengths_fail_the_step_and_name_them(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice)
    complete_all(worker, {"regions": 3, "weights": 2})
    assert fresh(run).status == ExecutionStatus.FAILED
    assert "not equally long: region has 3, weight has 2" in fresh(run).status_reason
    assert step(run, "collect").status == ExecutionStatus.STOPPED


def test_too_many_elements_are_refused_with_the_limit(
    template: RunTemplate, alice: User, worker: Worker, settings: Any
) -> None:
    settings.MAX_ELEMENTS = 5
    run = launch(template, alice)
    complete(worker, 6)
    assert (
        "It would run 6 times, and a step may be mapped over 5 elements at most" in fresh(run).status_reason
    )


def test_what_is_no_list_is_refused(template: RunTemplate, alice: User, worker: Worker) -> None:
    run = launch(template, alice)
    complete(worker, None)
    assert "what step regions returned for region, and that is no list or tuple" in fresh(run).status_reason


def test_a_list_that_is_not_there_fails_the_step_that_is_mapped_over_it(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice)
    assert recording.record_end(claim(worker), StepOutcome())
    assert "the output 'regions' of step regions, which is not there" in fresh(run).status_reason


@of_pipeline("chained_pipeline")
def test_a_mapped_result_is_mapped_over_element_by_element(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(template, alice)
    complete(worker, 2)
    complete(worker), complete(worker)
    first, second = (assignment_for(claim(worker)) for _ in range(2))
    assert [first.inputs["model"].uri, second.inputs["model"].uri] == ["/train-0", "/train-1"]
    assert second.inputs["model"].element is None
    assert second.inputs["all_regions"].element is None


@of_pipeline("literal_pipeline")
def test_a_list_that_was_written_down_is_a_parameter_of_the_run(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(template, alice, {"steps": {"train": {"parameters": {"region": ["a", "b", "c"]}}}})
    attempts = [claim(worker) for _ in range(3)]
    assert [assignment_for(attempt).parameters["region"] for attempt in attempts] == ["a", "b", "c"]


def test_a_failed_element_fails_its_step_when_the_others_are_over(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice)
    complete(worker, 3)
    recording.record_end(claim(worker), FAILURE)
    assert step(run, "train").status == ExecutionStatus.RUNNING
    assert step(run, "collect").status == ExecutionStatus.STOPPED
    complete(worker), complete(worker)
    assert step(run, "train").status == ExecutionStatus.FAILED
    assert step(run, "train").status_reason == "train-0 failed."
    assert fresh(run).status_reason == "Step train-0 failed: ValueError: no data"


def test_a_run_ends_when_its_last_element_fails(template: RunTemplate, alice: User, worker: Worker) -> None:
    run = launch(template, alice)
    complete(worker, 2)
    complete(worker)
    recording.record_end(claim(worker), FAILURE)
    assert fresh(run).status == ExecutionStatus.FAILED
    assert not StepRun.objects.unfinished().filter(run=run).exists()


@pytest.mark.parametrize("mode", ["stop_on_failure", "fail_fast"])
def test_a_run_that_stops_at_its_first_failure_starts_no_further_element(
    template: RunTemplate, alice: User, worker: Worker, mode: str
) -> None:
    run = launch(template, alice, {"execution_mode": mode})
    complete(worker, 3)
    recording.record_end(claim(worker), FAILURE)
    assert recording.claim_ready_step(worker, "default") is None
    assert fresh(run).status == ExecutionStatus.FAILED
    assert step(run, "train").status_reason.startswith("Not all of it was run: step train-0 failed")


def test_stopping_a_run_stops_what_runs_of_a_mapped_step(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice)
    complete(worker, 3)
    attempt = claim(worker)
    stop_run(actor=alice, run=run)
    assert recording.attempts_to_stop(worker) == [attempt.pk]
    recording.record_end(attempt, StepOutcome(was_stopped=True))
    assert fresh(run).status == ExecutionStatus.STOPPED
    assert not StepRun.objects.unfinished().filter(run=run).exists()


def test_an_element_whose_worker_died_is_given_to_another(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice)
    complete(worker, 1)
    claim(worker)
    recording.bury_worker(worker, "died", most_deaths=3)
    other = Worker.objects.create(name="w2", hostname="h", pid=2, queues=["default"])
    assert complete_all(other, {}) == ["train-0", "collect"]
    assert fresh(run).status == ExecutionStatus.COMPLETED


def repaired(run: PipelineRun, user: User, **fields: Any) -> PipelineRun:
    repair = Repair(original=fresh(run), **fields)
    return repair_run(repair=repair, trigger=Trigger(user, TriggerChannel.REST)).run


def test_a_repair_keeps_the_elements_that_completed(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice)
    complete(worker, 3), complete(worker)
    recording.record_end(claim(worker), FAILURE)
    complete(worker)
    plan = preview_repair(Repair(original=fresh(run)), actor=alice)
    assert plan.steps[1].reason == "It failed. Of its 3 elements, 2 are kept."
    again = repaired(run, alice)
    attempt = claim(worker)
    assert (attempt.step.name, assignment_for(attempt).inputs["region"].element) == ("train-1", 1)
    recording.record_end(attempt, completed(attempt))
    collected = assignment_for(claim(worker)).collected["models"]
    assert [each.uri for each in collected] == ["/train-0", "/train-1", "/train-2"]
    assert step(again, "train-0").status == ExecutionStatus.CACHED


def test_a_repair_that_keeps_a_mapped_step_hands_on_all_it_gave_out(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice)
    complete(worker, 2), complete(worker), complete(worker)
    recording.record_end(claim(worker), FAILURE)
    again = repaired(run, alice)
    attempt = claim(worker)
    assert [each.uri for each in assignment_for(attempt).collected["models"]] == ["/train-0", "/train-1"]
    recording.record_end(attempt, completed(attempt))
    assert step(again, "train").status == ExecutionStatus.CACHED
    assert fresh(again).status == ExecutionStatus.COMPLETED
    repaired_again = repaired(again, alice, from_steps=["collect"])
    assert step(repaired_again, "train").elements == 2


def test_a_repair_from_a_mapped_step_on_runs_all_its_elements(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice)
    complete_all(worker, {"regions": 2})
    repaired(run, alice, from_steps=["train"])
    assert complete_all(worker, {}) == ["train-0", "train-1", "collect"]


def test_elements_come_from_the_cache_each_by_itself(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(template, alice)
    complete_all(worker, {"regions": 3})
    again = launch(template, alice)
    assert complete_all(worker, {}) == []
    assert fresh(again).status == ExecutionStatus.COMPLETED
    ArtifactVersion.objects.filter(uri="/train-1").delete()
    launch(template, alice)
    assert complete_all(worker, {}) == ["train-1", "collect"]


def test_laying_out_a_thousand_takes_as_many_statements_as_ten(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    def statements(length: int) -> int:
        launch(template, alice, {"enable_cache": False})
        attempt = claim(worker)
        outcome = completed(attempt, length)
        with CaptureQueriesContext(connection) as asked:
            recording.record_end(attempt, outcome)
        StepRun.objects.all().delete()
        return len(asked)

    assert statements(1000) == statements(10)


@of_pipeline("secret_pipeline")
def test_an_element_shows_no_secret(template: RunTemplate, alice: User, worker: Worker, rest: Client) -> None:
    run = launch(template, alice, {"steps": {"tell": {"parameters": {"token": "hush-hush"}}}})
    complete(worker, 1)
    assert assignment_for(claim(worker)).parameters["token"] == "hush-hush"
    shown = rest.get(f"/api/v1/runs/{run.pk}/steps", {"hydrate": "true"})
    assert "hush" not in shown.text
    assert "tell-0" in shown.text
    assert "zenweb-sealed" not in shown.text


@of_pipeline("chained_pipeline")
def test_an_element_tells_on_the_wire_what_it_was_given(
    template: RunTemplate, alice: User, worker: Worker, rest: Client
) -> None:
    run = launch(template, alice)
    complete_all(worker, {"regions": 2})
    shown = rest.get(
        "/api/v1/steps", {"pipeline_run_id": str(run.pk), "name": "check-1", "hydrate": "true"}
    ).json()["items"][0]
    assert (shown["metadata"]["element"], shown["metadata"]["is_skipped"]) == (1, False)
    inputs = {name: given[0]["body"]["uri"] for name, given in shown["resources"]["inputs"].items()}
    assert inputs == {"model": "/train-1", "all_regions": "/regions"}


@of_pipeline("literal_pipeline")
def test_a_run_that_waits_for_its_turn_lays_out_its_elements_when_that_has_come(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    RunTemplate.objects.filter(pk=template.pk).update(max_concurrent_runs=1)
    template.refresh_from_db()
    launch(template, alice, {"enable_cache": False})
    waiting = launch(template, alice, {"enable_cache": False})
    assert not waiting.steps.filter(mapped_index__isnull=False).exists()
    for _ in range(3):
        complete(worker)
    assert [complete(worker) for _ in range(3)] == ["train-0", "train-1", "collect"]
    assert fresh(waiting).status == ExecutionStatus.COMPLETED
