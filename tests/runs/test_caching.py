"""A step that ran before is not run again: which ones, when, and what that costs."""

import uuid
from typing import Any

import pytest
from django.db import connection

from runs_app import recording
from runs_app.ledger import ledger_of
from runs_app.models import ArtifactVersion, PipelineRun, StepAttempt, Worker
from runs_app.recording import StepOutcome
from runs_app.statements import REMEMBER_KEYS
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus
from zenweb.execution.protocol import StepException, StoredArtifact

FAILURE = StepOutcome(exception=StepException(type="ValueError", message="no data", traceback="…"))
OUTPUTS = {"first": "base", "second": "product", "twin": "twin", "last": "total"}


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


def execute(worker: Worker) -> list[str]:
    """Have the worker complete all there is; the names of the steps that it had to run."""
    executed = []
    while attempt := recording.claim_ready_step(worker, "default"):
        recording.note_that_it_runs(attempt.step)
        assert recording.record_end(attempt, completed(attempt.step.name))
        executed.append(attempt.step.name)
    return executed


def completed(step: str) -> StepOutcome:
    stored = StoredArtifact(uri="/x", materializer="m.M", data_type="builtins.int", type="DataArtifact")
    return StepOutcome(outputs={OUTPUTS[step]: stored} if step in OUTPUTS else {})


def statuses(run: PipelineRun) -> dict[str, str]:
    return dict(run.steps.values_list("name", "status"))


def with_factor(factor: int) -> dict[str, Any]:
    return {"steps": {"second": {"parameters": {"factor": factor}}}}


def test_a_run_that_ran_before_completes_at_its_launch(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    first = launch(chain, alice)
    assert execute(worker) == ["first", "second", "last"]
    again = launch(chain, alice)
    again.refresh_from_db()
    assert again.status == ExecutionStatus.COMPLETED
    assert again.start_time is not None
    assert set(statuses(again).values()) == {ExecutionStatus.CACHED}
    assert execute(worker) == []
    assert not StepAttempt.objects.filter(step__run=again).exists()
    assert outputs(again) == outputs(first)
    assert ArtifactVersion.objects.count() == 3


def outputs(run: PipelineRun) -> list[Any]:
    return list(run.steps.order_by("index").values_list("outputs__name", "outputs__artifact_version"))


def test_a_changed_parameter_runs_its_step_and_what_follows(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(chain, alice)
    execute(worker)
    changed = launch(chain, alice, with_factor(3))
    assert execute(worker) == ["second", "last"]
    assert statuses(changed) == {"first": "cached", "second": "completed", "last": "completed"}
    changed.refresh_from_db()
    assert changed.status == ExecutionStatus.COMPLETED


def test_a_run_whose_first_step_is_cached_runs_until_the_rest_is_done(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(chain, alice)
    execute(worker)
    changed = launch(chain, alice, with_factor(3))
    changed.refresh_from_db()
    assert changed.status == ExecutionStatus.RUNNING
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    recording.record_end(attempt, FAILURE)
    changed.refresh_from_db()
    assert changed.status == ExecutionStatus.FAILED


def test_the_end_of_a_step_takes_the_chain_behind_it_from_the_cache(
    stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    gated = make_template(freeze("cached.gated_chain", alice, stacks["celery"]), alice, "gated")
    launch(gated, alice)
    assert execute(worker) == ["gate", "first", "second", "last"]
    again = launch(gated, alice)
    assert statuses(again)["first"] == ExecutionStatus.INITIALIZING
    assert execute(worker) == ["gate"]
    assert statuses(again) == {"gate": "completed", "first": "cached", "second": "cached", "last": "cached"}
    again.refresh_from_db()
    assert again.status == ExecutionStatus.COMPLETED
    assert "Taken from the cache: first, second, last." in [line.sentence for line in ledger_of(again, 100)]


def test_a_step_behind_two_cached_ones_waits_for_both(
    stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    diamond = make_template(freeze("cached.diamond", alice, stacks["celery"]), alice, "diamond")
    launch(diamond, alice)
    assert execute(worker) == ["first", "second", "twin", "last"]
    launch(diamond, alice, {"steps": {"last": {"enable_cache": False}}})
    assert execute(worker) == ["last"]
    launch(diamond, alice, {"steps": {"twin": {"enable_cache": False}}})
    assert execute(worker) == ["twin", "last"]


@pytest.mark.parametrize(
    "configuration",
    [
        {"enable_cache": False},
        {"steps": {name: {"enable_cache": False} for name in ("first", "second", "last")}},
    ],
)
def test_a_run_can_do_without_the_cache(
    chain: RunTemplate, alice: User, worker: Worker, configuration: dict[str, Any]
) -> None:
    launch(chain, alice)
    execute(worker)
    launch(chain, alice, configuration)
    assert execute(worker) == ["first", "second", "last"]


def test_what_is_said_for_a_step_of_the_run_goes_before_what_is_said_for_the_run(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(chain, alice)
    execute(worker)
    launch(chain, alice, {"enable_cache": False, "steps": {"first": {"enable_cache": True}}})
    assert execute(worker) == ["second", "last"]


def test_a_run_can_ask_for_what_its_pipeline_does_without(
    stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    uncached = make_template(freeze("cached.uncached_pipeline", alice, stacks["celery"]), alice, "uncached")
    for configuration, executed in [
        (None, 2),
        (None, 2),
        ({"enable_cache": True}, 2),
        ({"enable_cache": True}, 0),
    ]:
        launch(uncached, alice, configuration)
        assert len(execute(worker)) == executed


@pytest.mark.parametrize("outcome", [FAILURE, StepOutcome(was_stopped=True)])
def test_what_did_not_complete_does_not_feed_the_cache(
    chain: RunTemplate, alice: User, worker: Worker, outcome: StepOutcome
) -> None:
    launch(chain, alice)
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    recording.record_end(attempt, outcome)
    launch(chain, alice)
    assert execute(worker) == ["first", "second", "last"]


def test_a_step_whose_artifact_was_deleted_runs_again(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(chain, alice)
    execute(worker)
    ArtifactVersion.objects.filter(artifact__name="product").delete()
    launch(chain, alice)
    assert execute(worker) == ["second", "last"]


def test_another_artifact_store_has_a_cache_of_its_own(
    chain: RunTemplate, alice: User, worker: Worker, stacks: dict[str, Stack]
) -> None:
    launch(chain, alice)
    execute(worker)
    Stack.objects.filter(pk=stacks["celery"].pk).update(artifact_store_uri="/elsewhere")
    chain.refresh_from_db()
    launch(chain, alice)
    assert execute(worker) == ["first", "second", "last"]


def test_what_a_restricted_template_gave_out_is_given_to_no_other(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    other = make_template(chain.deployment, alice, "open to all")
    RunTemplate.objects.filter(pk=chain.pk).update(is_restricted=True)
    chain.refresh_from_db()
    launch(chain, alice)
    execute(worker)
    launch(other, alice)
    assert execute(worker) == ["first", "second", "last"]
    launch(chain, alice)
    assert execute(worker) == []


def test_the_cache_is_asked_through_its_index(chain: RunTemplate) -> None:
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # with few rows it would rather read them all
            cursor.execute("SET LOCAL enable_seqscan = off")
        step = uuid.uuid4() if connection.features.has_native_uuid_field else uuid.uuid4().hex
        cursor.execute(f"{explain} {REMEMBER_KEYS.format(places='(%s, %s)')}", [step, "x"])
        assert "step_cache" in str(cursor.fetchall())


def test_many_cached_steps_cost_no_statement_of_their_own(
    stacks: dict[str, Stack],
    chain: RunTemplate,
    alice: User,
    worker: Worker,
    django_assert_max_num_queries: Any,
) -> None:
    """Per layer of the graph: keys, their outputs, two changes, what follows (by how often); and the run's own rows."""
    launch(chain, alice)
    execute(worker)
    with django_assert_max_num_queries(40):
        launch(chain, alice)
