"""Steps that run only if a condition holds: what is skipped, and what goes on all the same."""

from typing import Any

import pytest

from runs_app import recording
from runs_app.assignments import assignment_for
from runs_app.ledger import ledger_of
from runs_app.models import PipelineRun, StepAttempt, StepRun, Worker
from runs_app.recording import StepOutcome
from runs_app.repair import Repair, preview_repair
from runs_app.services import Trigger, repair_run
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
def deploying(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    """score -> is_better; deploy (when) -> announce, clean_up (after); keep (unless); report of both."""
    return make_template(
        freeze("conditional.deploying_pipeline", alice, stacks["celery"]), alice, "deploying"
    )


@pytest.fixture
def choosing(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("conditional.choosing_pipeline", alice, stacks["celery"]), alice, "choosing")


def completed(attempt: StepAttempt, values: dict[str, Any]) -> StepOutcome:
    stored = StoredArtifact(
        uri="/x", materializer="m.M", data_type="t", type="DataArtifact", value=values.get(attempt.step.name)
    )
    return StepOutcome(outputs={output.name: stored for output in assignment_for(attempt).outputs})


def complete_all(worker: Worker, **values: Any) -> list[str]:
    done = []
    while attempt := recording.claim_ready_step(worker, "default"):
        recording.note_that_it_runs(attempt.step)
        outcome = FAILURE if values.get(attempt.step.name) is FAILURE else completed(attempt, values)
        assert recording.record_end(attempt, outcome)
        done.append(attempt.step.name)
    return done


def fresh(run: PipelineRun) -> PipelineRun:
    return PipelineRun.objects.get(pk=run.pk)


def reasons(run: PipelineRun) -> dict[str, str]:
    skipped = StepRun.objects.filter(run=run, is_skipped=True)
    return dict(skipped.values_list("name", "status_reason"))


def test_what_needs_a_skipped_step_is_skipped_and_what_comes_after_it_runs(
    deploying: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(deploying, alice)
    assert set(complete_all(worker, is_better=False)) == {"score", "is_better", "keep", "clean_up", "report"}
    assert reasons(run) == {
        "deploy": "Skipped: is_better returned False.",
        "announce": "Skipped, because deploy was skipped.",
    }
    assert fresh(run).status == ExecutionStatus.COMPLETED
    assert "Skipped: deploy, announce." in [line.sentence for line in ledger_of(run, 50)]


def test_a_step_whose_condition_holds_runs(deploying: RunTemplate, alice: User, worker: Worker) -> None:
    run = launch(deploying, alice)
    assert "announce" in complete_all(worker, is_better=True)
    assert reasons(run) == {"keep": "Skipped: is_better returned True."}


def test_an_optional_input_from_a_skipped_step_is_left_to_its_default(
    deploying: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(deploying, alice)
    while (attempt := recording.claim_ready_step(worker, "default")) and attempt.step.name != "report":
        recording.record_end(attempt, completed(attempt, {"is_better": False}))
    assert attempt is not None
    assert assignment_for(attempt).inputs.keys() == {"kept"}
    assert fresh(run).status == ExecutionStatus.RUNNING


def test_a_condition_may_name_a_value(choosing: RunTemplate, alice: User, worker: Worker) -> None:
    run = launch(choosing, alice)
    assert complete_all(worker, choose="rf") == ["choose", "train_forest"]
    assert reasons(run) == {"train_svm": "Skipped: choose returned 'rf' and not 'svm'."}


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_what_is_neither_true_nor_false_fails_the_step(
    deploying: RunTemplate, alice: User, worker: Worker, value: Any
) -> None:
    run = launch(deploying, alice)
    complete_all(worker, is_better=value)
    step = StepRun.objects.get(run=run, name="deploy")
    assert step.status == ExecutionStatus.FAILED
    assert "what step is_better returned, which is neither True nor False" in step.status_reason
    assert fresh(run).status == ExecutionStatus.FAILED


def test_a_condition_that_was_never_found_out_skips_nothing(
    deploying: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(deploying, alice)
    assert complete_all(worker, is_better=FAILURE) == ["score", "is_better"]
    assert reasons(run) == {}
    assert fresh(run).status == ExecutionStatus.FAILED


def test_a_run_whose_last_step_is_skipped_completes(
    choosing: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(choosing, alice)
    assert complete_all(worker, choose="neither") == ["choose"]
    assert fresh(run).status == ExecutionStatus.COMPLETED


def test_a_condition_is_decided_alike_by_what_comes_from_the_cache(
    deploying: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(deploying, alice, {"enable_cache": True})
    complete_all(worker, is_better=False)
    again = launch(deploying, alice, {"enable_cache": True})
    assert complete_all(worker) == []
    assert reasons(again).keys() == {"deploy", "announce"}
    assert fresh(again).status == ExecutionStatus.COMPLETED


def test_a_repair_skips_what_was_skipped_while_its_condition_is_kept(
    deploying: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(deploying, alice)
    complete_all(worker, is_better=False, report=FAILURE)
    plan = preview_repair(Repair(original=fresh(run)), actor=alice)
    assert plan.again == ["report"]
    deploy = next(step for step in plan.steps if step.name == "deploy")
    assert deploy.reason == "It was skipped, and what decides that is kept."
    repaired = repair_run(repair=Repair(original=fresh(run)), trigger=Trigger(alice, TriggerChannel.REST)).run
    assert complete_all(worker) == ["report"]
    assert reasons(repaired).keys() == {"deploy", "announce"}


def test_a_repair_that_finds_the_condition_out_again_may_take_the_other_branch(
    deploying: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(deploying, alice)
    complete_all(worker, is_better=False)
    repair = Repair(original=fresh(run), from_steps=["is_better"])
    repaired = repair_run(repair=repair, trigger=Trigger(alice, TriggerChannel.REST)).run
    assert "announce" in complete_all(worker, is_better=True)
    assert reasons(repaired).keys() == {"keep"}


def test_a_mapped_step_is_skipped_as_a_whole(stacks: dict[str, Stack], alice: User, worker: Worker) -> None:
    mapping = make_template(freeze("conditional.mapping_pipeline", alice, stacks["celery"]), alice, "mapping")
    run = launch(mapping, alice)
    assert complete_all(worker, is_better=False) == ["score", "is_better", "clean_up"]
    assert reasons(run).keys() == {"fit", "compare"}
    again = launch(mapping, alice)
    assert {"fit-0", "fit-1", "compare"} < set(complete_all(worker, is_better=True))
    assert fresh(again).status == ExecutionStatus.COMPLETED


@pytest.fixture
def stopping(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    """is_better; announce (when), and beside it fit, which is mapped."""
    return make_template(freeze("conditional.stopping_pipeline", alice, stacks["celery"]), alice, "stopping")


@pytest.mark.parametrize("mode", ["stop_on_failure", "fail_fast"])
def test_with_a_step_that_cannot_be_decided_ends_what_became_ready_beside_it(
    stopping: RunTemplate, alice: User, worker: Worker, mode: str
) -> None:
    run = launch(stopping, alice, {"execution_mode": mode})
    assert complete_all(worker, score=0.5, is_better="maybe") == ["score", "is_better"]
    told = dict(StepRun.objects.filter(run=run).values_list("name", "status"))
    assert (told["announce"], told["fit"]) == ("failed", "stopped")
    assert not StepRun.objects.filter(run=run, mapped_index__isnull=False).exists()
    assert fresh(run).status == ExecutionStatus.FAILED


def test_what_a_run_that_goes_on_lays_out_beside_it_is_run(
    stopping: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(stopping, alice, {"execution_mode": "continue_on_failure"})
    done = complete_all(worker, score=0.5, is_better="maybe")
    assert done == ["score", "is_better", "fit-0", "fit-1"]


def test_an_output_that_is_not_there_fails_the_step_that_looks_at_it(
    deploying: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(deploying, alice)
    for _ in ["score", "is_better"]:
        attempt = recording.claim_ready_step(worker, "default")
        assert attempt is not None
        outputs = completed(attempt, {}).outputs if attempt.step.name == "score" else {}
        assert recording.record_end(attempt, StepOutcome(outputs=outputs))
    failed = StepRun.objects.get(run=run, name="deploy")
    assert failed.status == ExecutionStatus.FAILED
    assert "the output 'output' of step is_better, which is not there" in failed.status_reason
