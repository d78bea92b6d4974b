"""What a server notes about steps that wait for runs, however the news arrive."""

import threading
import uuid

import pytest
from django.db import connection, connections, transaction

from runs_app import limits, recording
from runs_app.awaiting import has_ready_step
from runs_app.lineage import place_of
from runs_app.models import PipelineRun, StepAttempt, StepRun, Worker
from runs_app.recording import StepOutcome, begin_to_wait, end_to_wait
from runs_app.services import Trigger, launch_run, stop_run
from templates_app.models import RunTemplate
from tests.factories import launch
from tests.runs.test_limits import FAILURE, NO_CACHE, claim, completed, is_waiting, limit
from tests.runs.test_limits import worker as worker  # the row of one
from zenweb.accounts.models import User
from zenweb.enums import TriggerChannel
from zenweb.exceptions import ValidationFailed

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT = 20  # seconds


def child_of(attempt: StepAttempt, template: RunTemplate, alice: User) -> PipelineRun:
    step = StepRun.objects.select_related("run").get(pk=attempt.step_id)
    trigger = Trigger(alice, TriggerChannel.PIPELINE, parent=place_of(step))
    return launch_run(
        deployment=template.deployment, version=template.version, configuration=NO_CACHE, trigger=trigger
    ).run


@pytest.fixture
def stranger(db: None) -> User:
    return User.objects.create_user("stranger")


@pytest.fixture
def once(template: RunTemplate) -> RunTemplate:
    return limit(template, 1)


@pytest.fixture
def attempt(once: RunTemplate, alice: User, worker: Worker) -> StepAttempt:
    launch(once, alice, NO_CACHE)
    return claim(worker)


def test_a_wait_is_noted_while_another_run_frees_its_place(
    attempt: StepAttempt, once: RunTemplate, alice: User
) -> None:
    """Whoever frees a place holds the template and then the run that gets it; the note holds that run first."""
    if not connection.features.has_select_for_update:
        pytest.skip("one writes at a time")
    child, errors = child_of(attempt, once, alice), []
    noting = threading.Thread(target=lambda: _kept(errors, lambda: begin_to_wait(attempt, child.pk)))
    with transaction.atomic():
        limits.hold_limit(once.pk)
        noting.start()
        _until_noted_or_blocked(child)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
        PipelineRun.objects.filter(pk=child.pk).update(queued_at=None)
    noting.join(LIMIT)
    assert not errors
    child.refresh_from_db()
    assert child.awaited_since is not None


def _kept(errors: list[Exception], call: object) -> None:
    try:
        call()  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001  the test shows it
        errors.append(error)
    finally:
        connections.close_all()


def _until_noted_or_blocked(child: PipelineRun) -> None:
    """The other connection waits for the template's row, having or not having let go of the run's."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(1000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(waiting)
            if cursor.fetchone() or PipelineRun.objects.filter(pk=child.pk, awaited_since__isnull=False):
                return
    raise AssertionError("It neither waits nor is done.")


def test_a_step_may_wait_for_what_another_step_of_its_run_has_started(
    attempt: StepAttempt, once: RunTemplate, alice: User, worker: Worker
) -> None:
    child = child_of(attempt, once, alice)
    assert is_waiting(child)
    recording.record_end(attempt, completed(attempt))
    second = claim(worker)
    assert begin_to_wait(second, child.pk)
    assert not is_waiting(child)


def test_a_repair_may_wait_for_what_the_original_has_started(
    attempt: StepAttempt, once: RunTemplate, alice: User, worker: Worker
) -> None:
    child, repair = child_of(attempt, once, alice), launch(once, alice, NO_CACHE)
    PipelineRun.objects.filter(pk=repair.pk).update(queued_at=None, original=attempt.step.run)
    recording.record_end(attempt, FAILURE)
    assert is_waiting(child)
    StepRun.objects.filter(run=repair, waits_for=0).update(ready_at=repair.created)
    assert begin_to_wait(claim(worker), child.pk)
    assert not is_waiting(child)


def test_of_two_steps_that_wait_for_a_run_the_one_that_goes_on_leaves_it_to_the_other(
    attempt: StepAttempt, once: RunTemplate, alice: User, worker: Worker
) -> None:
    child = child_of(attempt, once, alice)
    following = StepRun.objects.filter(run=attempt.step.run).exclude(pk=attempt.step_id)
    following.update(ready_at=child.created)
    other = claim(worker)
    assert begin_to_wait(attempt, child.pk)
    assert begin_to_wait(other, child.pk)
    for waiting, is_awaited in ((attempt, True), (other, False)):
        end_to_wait(waiting, child.pk, is_over=True)
        child.refresh_from_db()
        assert (child.awaited_since is not None) is is_awaited


@pytest.mark.parametrize("how", ["failed", "lost"])
def test_who_has_ended_waits_no_longer(
    attempt: StepAttempt, once: RunTemplate, alice: User, how: str
) -> None:
    child = child_of(attempt, once, alice)
    begin_to_wait(attempt, child.pk)
    if how == "failed":
        recording.record_end(attempt, FAILURE)
    else:
        recording.give_back(attempt, "its worker died", None)
    attempt.step.refresh_from_db()
    assert attempt.step.waiting_since is None
    stop_run(actor=alice, run=attempt.step.run)
    child.refresh_from_db()
    assert child.stop_requested_at is None


def test_what_is_waited_for_stops_although_that_is_known_after_the_stop(
    attempt: StepAttempt, once: RunTemplate, alice: User
) -> None:
    child = child_of(attempt, once, alice)
    stop_run(actor=alice, run=attempt.step.run)
    begin_to_wait(attempt, child.pk)
    child.refresh_from_db()
    assert child.stop_requested_at is not None


def test_it_stops_although_who_stopped_the_other_died_before_it_could(
    attempt: StepAttempt, once: RunTemplate, alice: User
) -> None:
    child = child_of(attempt, once, alice)
    begin_to_wait(attempt, child.pk)
    PipelineRun.objects.filter(pk=attempt.step.run_id).update(stop_requested_at=child.created)
    recording.record_end(attempt, StepOutcome(was_stopped=True))
    recording.stop_unwanted()
    child.refresh_from_db()
    assert child.stop_requested_at is not None


def test_a_run_that_is_stopping_starts_no_other(attempt: StepAttempt, once: RunTemplate, alice: User) -> None:
    stop_run(actor=alice, run=attempt.step.run)
    with pytest.raises(ValidationFailed, match="may start no run any more: its own was asked to stop"):
        child_of(attempt, once, alice)


def test_only_for_a_run_that_goes_on_and_that_its_starter_sees_is_a_place_given_up(
    attempt: StepAttempt, once: RunTemplate, alice: User, stranger: User
) -> None:
    others = launch(once, alice, NO_CACHE)
    assert not begin_to_wait(attempt, uuid.uuid4())
    RunTemplate.objects.update(is_restricted=True)
    PipelineRun.objects.filter(pk=attempt.step.run_id).update(user=stranger)
    attempt.step.run.refresh_from_db()
    assert not begin_to_wait(attempt, others.pk)
    PipelineRun.objects.filter(pk=attempt.step.run_id).update(user=alice)
    attempt.step.run.refresh_from_db()
    assert begin_to_wait(attempt, others.pk)
    stop_run(actor=alice, run=others)
    assert not begin_to_wait(attempt, others.pk)


def test_where_very_many_wait_a_step_that_nobody_has_started_calls_for_no_stand_in(
    attempt: StepAttempt, once: RunTemplate, alice: User
) -> None:
    limit(once, 2)
    launch(once, alice, NO_CACHE)
    assert has_ready_step(["default"], only_children=False)
    assert not has_ready_step(["default"], only_children=True)
