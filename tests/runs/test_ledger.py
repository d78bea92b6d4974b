"""A run's history in words, and what it says while it waits."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from runs_app import recording
from runs_app.housekeeping import note_unserved_queues
from runs_app.ledger import ledger_of
from runs_app.models import PipelineRun, RunEvent, StepAttempt, StepRun, Worker
from runs_app.recording import StepOutcome
from runs_app.services import stop_run
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate
from templates_app.services import ConcurrencyLimit, update_run_template
from tests.factories import launch
from zenweb.accounts.models import User
from zenweb.execution.protocol import StepException, StoredArtifact

API = "/api/v1"
FAILURE = StepOutcome(exception=StepException(type="ValueError", message="no data", traceback="…"))
ON_GPU = {"enable_cache": False, "queue": "gpu"}


@pytest.fixture
def worker(db: None) -> Worker:
    return hire("w1", "default")


@pytest.fixture
def run(template: RunTemplate, alice: User) -> PipelineRun:
    return launch(template, alice, {"enable_cache": False, "retry": {"max_retries": 1}})


def hire(name: str, queue: str) -> Worker:
    return Worker.objects.create(name=name, hostname="h", pid=1, queues=[queue], slots=1)


def claim(worker: Worker, queue: str = "default") -> StepAttempt:
    attempt = recording.claim_ready_step(worker, queue)
    assert attempt is not None
    recording.note_that_it_runs(attempt.step)
    return attempt


def completed(name: str) -> StepOutcome:
    stored = StoredArtifact(uri="/x", materializer="m.M", data_type="builtins.float", type="DataArtifact")
    return StepOutcome(outputs={name: stored})


def told(run: PipelineRun) -> list[str]:
    """The ledger, with every duration as `…`."""
    return [re.sub(r"\d+\.\d\d s", "…", line.sentence) for line in ledger_of(run, limit=100)]


def wait_a_minute() -> None:
    """As if what is ready had been for a minute."""
    StepRun.objects.filter(ready_at__isnull=False).update(ready_at=timezone.now() - timedelta(minutes=1))


def reason_of_run(rest: Client, run: PipelineRun) -> str | None:
    reason: str | None = rest.get(f"{API}/runs/{run.id}").json()["body"]["status_reason"]
    listed = rest.get(f"{API}/runs?name={run.name}").json()["items"][0]["body"]["status_reason"]
    assert listed == reason
    return reason


def reason_of_step(rest: Client, run: PipelineRun, name: str = "trainer") -> str | None:
    steps = rest.get(f"{API}/runs/{run.id}/steps?name={name}").json()["items"]
    reason: str | None = rest.get(f"{API}/steps/{steps[0]['id']}").json()["body"]["status_reason"]
    assert steps[0]["body"]["status_reason"] == reason
    return reason


def events(rest: Client, run: PipelineRun) -> list[str]:
    return [event["sentence"] for event in rest.get(f"{API}/runs/{run.id}/events?size=100").json()["items"]]


# -- what happened -----------------------------------------------------------------------------------------------------


def test_the_ledger_tells_the_story_in_order(run: PipelineRun, worker: Worker) -> None:
    recording.record_end(claim(worker), completed("score"))
    recording.record_end(claim(worker), FAILURE)
    recording.record_end(claim(worker), FAILURE)
    assert told(run) == [
        "Accepted from alice through REST.",
        "Offered to the workers of queue default.",
        "Step trainer: attempt 1 claimed by worker w1",
        "Step trainer: attempt 1 completed in …",
        "Step evaluator: attempt 1 claimed by worker w1",
        "Step evaluator: attempt 1 failed after …: ValueError: no data; attempt 2 follows",
        "Step evaluator: attempt 2 claimed by worker w1",
        "Step evaluator: attempt 2 failed after …: ValueError: no data",
        "The run ended: failed.",
    ]


def test_a_step_that_waits_for_its_retry_says_until_when(
    template: RunTemplate, alice: User, worker: Worker, rest: Client
) -> None:
    retry = {"max_retries": 2, "delay": 20, "backoff": 3}
    run = launch(template, alice, {"steps": {"trainer": {"retry": retry}}, "enable_cache": False})
    recording.record_end(claim(worker), FAILURE)
    wait_a_minute()
    StepRun.objects.update(start_time=timezone.now() - timedelta(minutes=2))
    waiting = rest.get(f"{API}/runs/{run.id}/steps?name=trainer").json()["items"][0]["body"]
    sentence = r"Step trainer waits until [\d :A-Za-z]*\d\d:\d\d:\d\d for attempt 2 of 3\."
    assert re.fullmatch(
        rf"Attempt 1 failed \(ValueError: no data\); 2 of 3 follows\. {sentence}", reason_of_step(rest, run)
    )
    assert re.fullmatch(sentence, reason_of_run(rest, run))
    assert round(waiting["duration"]) == 60
    StepRun.objects.update(delayed_until=None)
    recording.record_end(claim(worker), FAILURE)
    ends = [line.partition(": ")[2] for line in told(run) if "no data" in line]
    assert ends == [
        "attempt 1 failed after …: ValueError: no data; attempt 2 follows in 20 s",
        "attempt 2 failed after …: ValueError: no data; attempt 3 follows in 1 min 0 s",
    ]


def test_a_step_that_lost_its_worker_says_so_and_who_took_it(run: PipelineRun, worker: Worker) -> None:
    claim(worker)
    recording.bury_worker(worker, "died (silent for 10 s)", most_deaths=3)
    claim(hire("w2", "default"))
    assert told(run)[-3:] == [
        "Step trainer: attempt 1 claimed by worker w1",
        "Step trainer: attempt 1 was lost: worker w1 died (silent for 10 s); attempt 2 follows",
        "Step trainer: attempt 2 claimed by worker w2",
    ]


def test_who_stopped_a_run_is_told(run: PipelineRun, worker: Worker, alice: User) -> None:
    attempt = claim(worker)
    stop_run(actor=alice, run=run)
    recording.record_end(attempt, StepOutcome(was_stopped=True))
    assert told(run)[-3:] == [
        "alice asked to stop the run.",
        "Step trainer: attempt 1 stopped after …",
        "The run ended: stopped.",
    ]


def test_the_key_that_was_used_is_told_and_never_the_secret(
    rest: Client, template: RunTemplate, alices_key: str
) -> None:
    run = rest.post(f"{API}/run_templates/{template.id}/runs", content_type="application/json").json()
    [first, *_] = rest.get(f"{API}/runs/{run['id']}/events").json()["items"]
    assert first["sentence"] == "Accepted from alice through REST with the key tests."
    login = Client().post(f"{API}/login", {"grant_type": "zenml-api-key", "password": alices_key}).json()
    bearer = Client(headers={"Authorization": f"Bearer {login['access_token']}"})
    other = bearer.post(f"{API}/run_templates/{template.id}/runs", content_type="application/json").json()
    assert events(rest, PipelineRun(id=other["id"]))[0].endswith("with the key tests.")


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_does_not_answer_is_told(template: RunTemplate, alice: User) -> None:
    """Nobody listens where the tests publish."""
    assert told(launch(template, alice))[1:] == [
        "Offered to the workers of queue default.",
        "The broker did not answer: workers look for it by themselves.",
    ]


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_answers_is_not_spoken_of(
    template: RunTemplate, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs_app.recording.waking.wake_workers", lambda queues: True)
    assert told(launch(template, alice))[1:] == ["Offered to the workers of queue default."]


def test_waiting_for_a_turn_is_told_and_that_it_has_come(
    rest: Client, template: RunTemplate, alice: User, worker: Worker
) -> None:
    update_run_template(actor=alice, template=template, limit=ConcurrencyLimit(1))
    limited = RunTemplate.objects.with_relations().get(pk=template.pk)
    first, second = launch(limited, alice), launch(limited, alice)
    expected = (
        f'It waits for its turn: the template "{template.name}" runs at most 1 at once, already {first.name}.'
    )
    assert told(second) == ["Accepted from alice through REST.", expected]
    assert reason_of_run(rest, second) == expected
    recording.request_stop(first, by="alice")
    assert told(second)[2:] == ["Its turn has come.", "Offered to the workers of queue default."]
    assert reason_of_run(rest, second) is None


def test_a_waiting_run_names_those_that_it_waits_for_now(
    rest: Client, template: RunTemplate, alice: User
) -> None:
    update_run_template(actor=alice, template=template, limit=ConcurrencyLimit(2))
    limited = RunTemplate.objects.with_relations().get(pk=template.pk)
    gone, stays, next_one, waits = (launch(limited, alice) for _ in range(4))
    recording.request_stop(gone, by="alice")
    assert str(reason_of_run(rest, waits)).endswith(f"already {stays.name} and {next_one.name}.")


@pytest.mark.parametrize(("page", "size"), [(1, 100), (2, 2), (3, 2), (5, 2), (9, 2)])
def test_the_ledger_is_paged_the_oldest_first(
    rest: Client, run: PipelineRun, worker: Worker, page: int, size: int
) -> None:
    recording.record_end(claim(worker), completed("score"))
    recording.record_end(claim(worker), FAILURE)
    recording.record_end(claim(worker), FAILURE)
    every = [line.sentence for line in ledger_of(run, 100)]
    answer = rest.get(f"{API}/runs/{run.id}/events?page={page}&size={size}").json()
    assert (answer["total"], answer["total_pages"]) == (9, -(-9 // size))
    assert [event["sentence"] for event in answer["items"]] == every[(page - 1) * size : page * size]


def test_an_event_names_its_step(rest: Client, run: PipelineRun, worker: Worker) -> None:
    claim(worker)
    answer = rest.get(f"{API}/runs/{run.id}/events").json()["items"]
    assert [event["step"] for event in answer] == [None, None, "trainer"]


def test_a_strangers_run_has_no_events(run: PipelineRun) -> None:
    assert Client().get(f"{API}/runs/{run.id}/events").status_code == 401


# -- what it waits for -------------------------------------------------------------------------------------------------


def test_a_queue_that_nobody_ever_served_is_told_by_the_web_server_alone(
    rest: Client, client: Client, template: RunTemplate, alice: User
) -> None:
    run = launch(template, alice, ON_GPU)
    wait_a_minute()
    expected = "No worker has served queue gpu yet."
    assert (reason_of_run(rest, run), reason_of_step(rest, run)) == (expected, expected)
    assert expected in events(rest, run)
    client.force_login(alice)
    assert (
        client.get(run.get_absolute_url()).text.count(expected) == 3
    )  # of the run, of the step, in the ledger


@pytest.mark.parametrize("was_buried", [False, True])
def test_it_is_told_since_when_nobody_serves_a_queue(
    rest: Client, template: RunTemplate, alice: User, was_buried: bool
) -> None:
    """Killed with everybody else, there may be nobody left to bury it."""
    gone = hire("g1", "gpu")
    at = timezone.now().replace(second=0) - timedelta(minutes=30)
    Worker.objects.filter(pk=gone.pk).update(updated=at, is_alive=not was_buried)
    hire("w1", "default")
    run = launch(template, alice, ON_GPU)
    wait_a_minute()
    sentence = str(reason_of_run(rest, run))
    assert re.fullmatch(rf"No worker serves queue gpu since (\d+ \w+ )?{at:%H:%M}\.", sentence)


def test_nothing_is_said_where_a_worker_is_free(rest: Client, run: PipelineRun, worker: Worker) -> None:
    hire("w2", "default")
    claim(worker)
    run_of_two = launch(run.template, run.user, {"enable_cache": False})
    wait_a_minute()
    assert (reason_of_run(rest, run_of_two), reason_of_step(rest, run_of_two)) == (None, None)


def test_it_is_told_when_all_workers_of_a_queue_are_busy(
    rest: Client, client: Client, run: PipelineRun, worker: Worker, alice: User
) -> None:
    """Perhaps with steps of another queue."""
    both = Worker.objects.create(name="w2", hostname="h", pid=1, queues=["default", "gpu"], slots=1)
    hire("w3", "other")
    claim(worker)
    waiting = launch(run.template, alice, {"enable_cache": False})
    launch(run.template, alice, ON_GPU)
    claim(both, "gpu")
    expected = "All workers of queue default are busy: 2 steps run."
    assert reason_of_step(rest, waiting) is None  # it may be taken in a moment
    wait_a_minute()
    assert (reason_of_run(rest, waiting), reason_of_step(rest, waiting)) == (expected, expected)
    assert expected in events(rest, waiting)
    client.force_login(alice)
    assert client.get(waiting.get_absolute_url()).text.count(expected) == 3
    Worker.objects.filter(pk=worker.pk).update(slots=2)
    assert reason_of_step(rest, waiting) is None


def test_one_step_that_keeps_the_only_worker_busy_is_told_as_one(
    rest: Client, run: PipelineRun, worker: Worker
) -> None:
    claim(worker)
    waiting = launch(run.template, run.user, {"enable_cache": False})
    wait_a_minute()
    assert reason_of_step(rest, waiting) == "All workers of queue default are busy: 1 step runs."


def test_what_is_being_made_is_told_before_who_is_busy(
    rest: Client, run: PipelineRun, worker: Worker, alice: User
) -> None:
    claim(worker)
    waiting = launch(run.template, alice, {"enable_cache": False})
    wait_a_minute()
    sentence = "Environment e1 (pandas) is being made: Collecting pandas"
    Worker.objects.filter(pk=worker.pk).update(making={str(waiting.deployment_id): sentence})
    assert (reason_of_run(rest, waiting), reason_of_step(rest, waiting)) == (sentence, sentence)
    assert sentence not in events(rest, waiting)  # who makes it notes that
    Worker.objects.filter(pk=worker.pk).update(making={"another": sentence})
    assert "are busy" in str(reason_of_run(rest, waiting))


def test_a_worker_whose_heart_beats_is_seen(
    rest: Client, template: RunTemplate, alice: User, transactional_db: None
) -> None:
    run = launch(template, alice, ON_GPU)
    wait_a_minute()
    worker = StepWorker(name="g1", queues=["gpu"], slots=1)
    Worker.objects.update(updated=timezone.now() - timedelta(hours=1))
    assert "No worker serves queue gpu" in str(reason_of_run(rest, run))
    worker.start()
    try:
        wait_for(lambda: rest.get(f"{API}/runs/{run.id}").json()["body"]["status_reason"] is None)
    finally:
        worker.shut_down()


def test_a_retry_keeps_its_reason_beside_what_it_waits_for(
    rest: Client, run: PipelineRun, worker: Worker
) -> None:
    recording.record_end(claim(worker), FAILURE)
    recording.bury_worker(worker, "was shut down", most_deaths=None)
    wait_a_minute()
    reason = str(reason_of_step(rest, run))
    assert reason.startswith(
        "Attempt 1 failed (ValueError: no data); 2 of 2 follows. No worker serves queue default since"
    )


def test_housekeepers_note_once_that_nobody_serves_a_queue(
    rest: Client, template: RunTemplate, alice: User
) -> None:
    run = launch(template, alice, ON_GPU)
    note_unserved_queues()
    assert not RunEvent.objects.filter(sentence__contains="No worker").exists()  # it may still come
    wait_a_minute()
    for _ in range(2):
        note_unserved_queues()
    expected = "No worker has served queue gpu yet."
    assert StepRun.objects.get(run=run, name="trainer").status_reason == expected
    assert events(rest, run).count(expected) == 1
    gpu = hire("g1", "gpu")
    assert reason_of_step(rest, run) is None  # it is over, though the row still says so
    claim(gpu, "gpu")
    assert StepRun.objects.get(run=run, name="trainer").status_reason == ""
    assert events(rest, run)[-2:] == [expected, "Step trainer: attempt 1 claimed by worker g1"]


def test_a_full_queue_is_told(
    rest: Client, template: RunTemplate, alice: User, worker: Worker, settings: Any
) -> None:
    settings.QUEUE_LIMITS = {"default": 1}
    launch(template, alice, {"enable_cache": False})
    claim(worker)
    run = launch(template, alice, {"enable_cache": False})
    wait_a_minute()
    expected = "Queue default runs at most 1 step at once, and does."
    assert (reason_of_run(rest, run), reason_of_step(rest, run)) == (expected, expected)


def test_lists_take_no_more_queries_for_many_that_wait(
    rest: Client, template: RunTemplate, alice: User, django_assert_max_num_queries: Any
) -> None:
    for _ in range(10):
        launch(template, alice, ON_GPU)
    wait_a_minute()
    # key, its use, what one is, project, counts, rows; steps that wait, and for a retry, workers, and who served last
    with django_assert_max_num_queries(13):
        assert len(rest.get(f"{API}/runs").json()["items"]) == 10
    gpu = hire("g1", "gpu")
    claim(gpu, "gpu")
    Worker.objects.update(making={"another": "Environment e1 is being made."})
    wait_a_minute()
    # the same, but what these workers run, and of which deployments the runs are
    with django_assert_max_num_queries(14):
        listed = rest.get(f"{API}/runs").json()["items"]
    assert [item["body"]["status_reason"] for item in listed].count(
        "All workers of queue gpu are busy: 1 step runs."
    ) == 9


def wait_for(condition: Callable[[], Any], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
