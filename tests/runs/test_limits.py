"""How many runs of a template go on at once, and how many steps of a queue."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test import Client
from django.urls import reverse

from runs_app import recording, waiting
from runs_app.models import PipelineRun, StepAttempt, StepRun, Worker
from runs_app.recording import StepOutcome
from templates_app.models import PipelineDeployment, RunTemplate
from templates_app.services import ConcurrencyLimit, update_run_template
from tests.factories import launch, make_template
from zenweb.accounts.models import User
from zenweb.enums import ConcurrencyPolicy, ExecutionStatus
from zenweb.execution.protocol import StepException, StoredArtifact
from zenweb.settings import env_numbers

API = "/api/v1"
FAILURE = StepOutcome(exception=StepException(type="ValueError", message="no data", traceback="…"))
NO_CACHE = {"enable_cache": False}
LIMIT = 30  # seconds


@pytest.fixture
def worker(db: None) -> Worker:
    return hire()


def hire(queue: str = "default") -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=[queue], slots=3)


def limit(template: RunTemplate, most: int, policy: str = "queue") -> RunTemplate:
    """What a request loads afterwards."""
    assert template.user is not None
    update_run_template(actor=template.user, template=template, limit=ConcurrencyLimit(most, policy))
    return RunTemplate.objects.with_relations().get(pk=template.pk)


def claim(worker: Worker, queue: str = "default") -> StepAttempt:
    attempt = recording.claim_ready_step(worker, queue)
    assert attempt is not None
    recording.note_that_it_runs(attempt.step)
    return attempt


def completed(attempt: StepAttempt) -> StepOutcome:
    name = {"trainer": "score", "evaluator": "metrics"}[attempt.step.name]
    stored = StoredArtifact(uri="/x", materializer="m.M", data_type="builtins.float", type="DataArtifact")
    return StepOutcome(outputs={name: stored})


def finish(run: PipelineRun, worker: Worker) -> None:
    """Do both of its steps, which are the only ones that are ready."""
    for _ in range(2):
        attempt = claim(worker)
        assert attempt.step.run_id == run.pk
        recording.record_end(attempt, completed(attempt))


def status(run: PipelineRun) -> str:
    run.refresh_from_db()
    return run.status


def is_waiting(run: PipelineRun) -> bool:
    run.refresh_from_db()
    return run.queued_at is not None


# -- runs of a template ------------------------------------------------------------------------------------------------


def test_one_run_more_than_the_limit_waits_until_one_has_ended(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    limited = limit(template, 1)
    first, second = (launch(limited, alice, NO_CACHE) for _ in range(2))
    assert (is_waiting(first), is_waiting(second)) == (False, True)
    assert status(second) == ExecutionStatus.INITIALIZING
    assert second.status_reason.startswith("It waits for its turn")
    finish(first, worker)
    assert not is_waiting(second)
    assert second.status_reason == ""
    finish(second, worker)
    assert status(second) == ExecutionStatus.COMPLETED


def test_no_step_of_a_waiting_run_can_be_claimed(template: RunTemplate, alice: User, worker: Worker) -> None:
    limited = limit(template, 1)
    first = launch(limited, alice)
    launch(limited, alice)
    assert claim(worker).step.run_id == first.pk
    assert recording.claim_ready_step(worker, "default") is None


def test_the_limit_counts_only_its_own_templates_runs(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    assert template.user
    other = RunTemplate.objects.create(
        project=template.project, user=alice, name="other", latest_version=template.latest_version
    )
    other.version.template = other
    launch(other, alice)
    assert not is_waiting(launch(limit(template, 1), alice))


def test_the_more_urgent_run_waits_less_and_then_the_older(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    limited = limit(template, 1)
    running, older, newer, urgent = (
        launch(limited, alice, {**NO_CACHE, "priority": priority}) for priority in (0, 0, 0, 5)
    )
    for run in (running, urgent, older, newer):
        finish(run, worker)


@pytest.mark.parametrize("how", ["fails", "is stopped", "loses its worker for good"])
def test_however_a_run_ends_its_place_becomes_free(
    template: RunTemplate, alice: User, worker: Worker, how: str
) -> None:
    limited = limit(template, 1)
    first, second = (launch(limited, alice, NO_CACHE) for _ in range(2))
    if how == "fails":
        recording.record_end(claim(worker), FAILURE)
    elif how == "is stopped":
        recording.request_stop(first, by="alice")
    else:
        claim(worker)
        recording.bury_worker(worker, "died", most_deaths=1)
    assert PipelineRun.objects.get(pk=first.pk).is_finished
    assert claim(hire()).step.run_id == second.pk


def test_a_run_that_is_being_stopped_keeps_its_place_until_it_has_ended(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    limited = limit(template, 1)
    first, second = (launch(limited, alice) for _ in range(2))
    attempt = claim(worker)
    recording.request_stop(first, by="alice")
    assert is_waiting(second)
    recording.record_end(attempt, StepOutcome(was_stopped=True))
    assert not is_waiting(second)


def test_a_waiting_run_can_be_stopped_and_nobody_takes_its_turn_for_it(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    limited = limit(template, 1)
    first, second, third = (launch(limited, alice, NO_CACHE) for _ in range(3))
    recording.request_stop(second, by="bob")
    assert status(second) == ExecutionStatus.STOPPED
    assert second.status_reason == "bob asked to stop the run."
    assert is_waiting(third)
    finish(first, worker)
    finish(third, worker)


def test_a_run_that_the_cache_ends_at_once_makes_room_for_the_next(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    finish(launch(template, alice), worker)
    limited = limit(template, 1)
    first = launch(limited, alice, NO_CACHE)
    waiting = [launch(limited, alice) for _ in range(3)]
    last = launch(limited, alice, NO_CACHE)
    finish(first, worker)
    assert [status(run) for run in waiting] == [ExecutionStatus.COMPLETED] * 3
    finish(last, worker)


def test_a_list_explains_all_runs_that_wait_with_as_many_queries_as_one(
    deployment: PipelineDeployment, alice: User, django_assert_num_queries: Any
) -> None:
    limited = [limit(make_template(deployment, alice, f"limited {number}"), 1) for number in range(3)]
    holders = {template.pk: launch(template, alice, NO_CACHE) for template in limited}
    runs = [launch(template, alice, NO_CACHE) for template in limited for _ in range(2)]
    for some in (runs[:1], runs):  # as it was for one, so for six
        with django_assert_num_queries(
            4
        ):  # limits, who holds their places, steps that wait, and those until later
            waiting.explain_runs(some)
    assert [run.status_reason for run in runs] == [
        f"It waits for its turn: the template {run.template.name!r} runs at most 1 at once,"
        f" already {holders[run.template_id].name}.".replace("'", '"')
        for run in runs
    ]


def test_skipped_runs_end_at_once_and_say_why(rest: Client, template: RunTemplate, alice: User) -> None:
    first = launch(limit(template, 1, "skip"), alice)
    answer = rest.post(f"{API}/run_templates/{template.id}/runs", content_type="application/json")
    body = answer.json()["body"]
    assert (answer.status_code, body["status"]) == (200, "stopped")
    assert f"runs at most 1 at once, already {first.name}." in body["status_reason"]
    run = PipelineRun.objects.get(pk=answer.json()["id"])
    assert (run.status, run.status_reason, run.end_time is None) == ("stopped", body["status_reason"], False)
    assert not run.steps.unfinished().exists()
    assert status(first) == ExecutionStatus.INITIALIZING


@pytest.mark.django_db(transaction=True)
def test_a_newer_run_takes_the_place_of_the_oldest_when_that_has_ended(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    limited = limit(template, 2, "cancel")
    oldest, older = (launch(limited, alice, NO_CACHE) for _ in range(2))
    attempt = claim(worker)
    newest = launch(limited, alice, NO_CACHE)
    assert (status(oldest), status(older)) == (ExecutionStatus.STOPPING, ExecutionStatus.INITIALIZING)
    assert newest.name in oldest.status_reason
    assert is_waiting(newest)
    recording.record_end(attempt, StepOutcome(was_stopped=True))
    assert status(oldest) == ExecutionStatus.STOPPED
    assert newest.name in oldest.status_reason
    assert not is_waiting(newest)


@pytest.mark.django_db(transaction=True)
def test_of_several_newer_runs_only_the_newest_is_run(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    limited = limit(template, 1, "cancel")
    launch(limited, alice, NO_CACHE)
    attempt = claim(worker)
    overtaken, newest = (launch(limited, alice, NO_CACHE) for _ in range(2))
    assert status(overtaken) == ExecutionStatus.STOPPED
    recording.record_end(attempt, StepOutcome(was_stopped=True))
    finish(newest, worker)


def test_where_the_process_died_before_it_could_stop_the_oldest_housekeeping_does(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    """The test's own transaction never ends, so nothing that follows a commit happens."""
    limited = limit(template, 1, "cancel")
    oldest, newest = (launch(limited, alice) for _ in range(2))
    assert status(oldest) == ExecutionStatus.INITIALIZING
    recording.admit_forgotten()
    assert status(oldest) == ExecutionStatus.STOPPED
    assert claim(worker).step.run_id == newest.pk


@pytest.mark.parametrize("how", ["raised", "removed", "deleted"])
def test_who_waits_goes_on_when_the_limit_does_not_hold_any_more(
    template: RunTemplate, alice: User, worker: Worker, how: str
) -> None:
    limited = limit(template, 1)
    launch(limited, alice)
    second = launch(limited, alice)
    recording.admit_forgotten()
    assert is_waiting(second)
    if how == "deleted":
        template.delete()
    else:
        limit(template, {"raised": 2, "removed": 0}[how])
    recording.admit_forgotten()
    assert not is_waiting(second)
    assert {claim(worker).step.run_id, claim(worker).step.run_id} >= {second.pk}


class Crowd:
    """Threads that launch, work on, stop and bury what a limited template's runs are, until each has ended."""

    def __init__(self, template: RunTemplate, alice: User, seed: int) -> None:
        self.template, self.alice, self.seed = template, alice, seed
        self.over = threading.Event()
        self.errors: list[Exception] = []
        self.most_at_once = 0

    def run(self, launchers: int, runs: int) -> None:
        roles = [self._work] * 4 + [self._bury, self._stop, self._bury, self._sweep, self._watch]
        launching = [self._thread(lambda _: self._launch(runs)) for _ in range(launchers)]
        others = [self._thread(role) for role in roles]
        for thread in launching:
            thread.join(LIMIT)
        deadline = time.monotonic() + LIMIT
        while PipelineRun.objects.unfinished().exists() and not self.errors and time.monotonic() < deadline:
            time.sleep(0.02)
        self.over.set()
        for thread in others:
            thread.join(LIMIT)

    def _thread(self, role: Callable[[random.Random], None]) -> threading.Thread:
        self.seed += 1
        thread = threading.Thread(target=self._play, args=(role, random.Random(self.seed)))
        thread.start()
        return thread

    def _play(self, role: Callable[[random.Random], None], chance: random.Random) -> None:
        try:
            role(chance)
        except Exception as error:  # noqa: BLE001  whatever it is, the test shows it
            self.errors.append(error)
        finally:
            connections.close_all()

    def _launch(self, runs: int) -> None:
        for _ in range(runs):
            launch(self.template, self.alice, NO_CACHE)

    def _work(self, chance: random.Random) -> None:
        worker = hire()
        while not self.over.is_set():
            # Of two runs at once, where there are two: whoever buries this worker ends both.
            attempts = [recording.claim_ready_step(worker, "default") for _ in range(2)]
            if not any(attempts) and not Worker.objects.filter(pk=worker.pk, is_alive=True).exists():
                worker = hire()
            time.sleep(chance.uniform(0, 0.01))
            for attempt in filter(None, attempts):
                recording.note_that_it_runs(attempt.step)
                recording.record_end(attempt, FAILURE if chance.random() < 0.2 else completed(attempt))

    def _stop(self, chance: random.Random) -> None:
        while not self.over.wait(0.05):
            if run := chance.choice([None, *PipelineRun.objects.unfinished()]):
                recording.request_stop(run, by="somebody")

    def _bury(self, chance: random.Random) -> None:
        while not self.over.wait(0.01):
            if worker := chance.choice([None, *Worker.objects.alive()]):
                recording.bury_worker(worker, "died", most_deaths=1)

    def _sweep(self, chance: random.Random) -> None:
        while not self.over.wait(0.05):
            recording.admit_forgotten()

    def _watch(self, chance: random.Random) -> None:
        while not self.over.wait(0.001):
            self.most_at_once = max(self.most_at_once, PipelineRun.objects.holding_a_place().count())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("policy", ["queue", "skip", "cancel"])
def test_the_limit_is_never_exceeded_nor_a_place_lost_however_much_happens_at_once(
    template: RunTemplate, alice: User, policy: str
) -> None:
    crowd = Crowd(limit(template, 3, policy), alice, seed=1)
    crowd.run(launchers=3, runs=8)
    assert crowd.errors == []
    assert not PipelineRun.objects.unfinished().exists()
    assert not StepRun.objects.unfinished().exists()
    assert not PipelineRun.objects.filter(queued_at__isnull=False).exists()
    assert PipelineRun.objects.count() == 24
    assert 1 <= crowd.most_at_once <= 3


# -- where a limit is set ----------------------------------------------------------------------------------------------


def test_a_limit_is_set_changed_and_removed_over_rest(rest: Client, template: RunTemplate) -> None:
    address = f"{API}/run_templates/{template.id}"
    for said, expected in (
        ({"max_concurrent_runs": 3, "concurrency_policy": "skip"}, (3, "skip")),
        ({"max_concurrent_runs": 1}, (1, "skip")),
        ({"description": "nightly"}, (1, "skip")),
        ({"max_concurrent_runs": 0, "concurrency_policy": "queue"}, (None, "queue")),
    ):
        body = rest.put(address, said, content_type="application/json").json()["body"]
        assert (body["max_concurrent_runs"], body["concurrency_policy"]) == expected


def test_a_template_is_made_with_a_limit(rest: Client, template: RunTemplate) -> None:
    made = {"name": "nightly", "source_deployment_id": str(template.deployment.id), "max_concurrent_runs": 1}
    answer = rest.post(f"{API}/run_templates", made, content_type="application/json")
    assert answer.json()["body"]["max_concurrent_runs"] == 1
    assert answer.json()["body"]["concurrency_policy"] == "queue"


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"max_concurrent_runs": -1}, "/max_concurrent_runs"),
        ({"max_concurrent_runs": 10**12}, "/max_concurrent_runs"),
        ({"max_concurrent_runs": "1"}, "/max_concurrent_runs"),
        ({"concurrency_policy": "que"}, "/concurrency_policy"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(
    rest: Client, template: RunTemplate, said: Any, pointer: str
) -> None:
    answer = rest.put(f"{API}/run_templates/{template.id}", said, content_type="application/json")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    template.refresh_from_db()
    assert (template.max_concurrent_runs, template.concurrency_policy) == (None, ConcurrencyPolicy.QUEUE)


def test_a_limit_is_set_in_the_admin(client: Client, template: RunTemplate) -> None:
    client.force_login(User.objects.create_superuser(username="boss", password="a long password"))
    address = reverse("admin:templates_app_runtemplate_change", args=[template.id])
    form = {"name": template.name, "is_enabled": "on", "tags": "[]", "concurrency_policy": "cancel"}
    inline = {
        f"{name}-{kind}_FORMS": "0" for name in ("versions", "role_grants") for kind in ("TOTAL", "INITIAL")
    }
    refused = client.post(address, {**form, **inline, "max_concurrent_runs": "0"})
    assert "greater than or equal to 1" in refused.text
    assert client.post(address, {**form, **inline, "max_concurrent_runs": "2"}).status_code == 302
    template.refresh_from_db()
    assert template.limit_words == "at most 2 at once, further ones take the place of the oldest"


def test_the_page_of_a_limited_template_says_what_becomes_of_one_more_run(
    client: Client, template: RunTemplate, bob: User
) -> None:
    client.force_login(bob)
    assert "at once" not in client.get(template.get_absolute_url()).text
    limit(template, 1, "skip")
    page = client.get(template.get_absolute_url()).text
    assert page.count("t most 1 at once, further ones are not run") == 2


# -- steps of a queue --------------------------------------------------------------------------------------------------


def test_a_queue_runs_no_more_steps_at_once_than_it_may(
    template: RunTemplate, alice: User, worker: Worker, settings: Any
) -> None:
    settings.QUEUE_LIMITS = {"default": 2}
    for _ in range(3):
        launch(template, alice, NO_CACHE)
    first, _ = claim(worker), claim(hire())
    assert recording.claim_ready_step(worker, "default") is None
    recording.record_end(first, FAILURE)
    assert recording.claim_ready_step(worker, "default") is not None


def test_a_step_that_is_being_stopped_keeps_its_place_in_the_queue(
    template: RunTemplate, alice: User, worker: Worker, settings: Any
) -> None:
    settings.QUEUE_LIMITS = {"default": 1}
    launch(template, alice)
    attempt = claim(worker)
    launch(template, alice)
    recording.request_stop(attempt.step.run, by="alice")
    assert recording.claim_ready_step(worker, "default") is None
    recording.record_end(attempt, StepOutcome(was_stopped=True))
    assert claim(worker)


def test_the_place_of_a_dead_workers_step_becomes_free(
    template: RunTemplate, alice: User, worker: Worker, settings: Any
) -> None:
    settings.QUEUE_LIMITS = {"default": 1}
    launch(template, alice)
    claim(worker)
    recording.bury_worker(worker, "died", most_deaths=3)
    assert claim(hire()).number == 2


def test_the_limit_of_one_queue_is_none_of_another(
    template: RunTemplate, alice: User, worker: Worker, settings: Any
) -> None:
    settings.QUEUE_LIMITS = {"gpu": 1}
    for queue in ("gpu", "gpu", "default", "default"):
        launch(template, alice, {**NO_CACHE, "queue": queue})
    gpu = hire("gpu")
    assert claim(gpu, "gpu")
    assert recording.claim_ready_step(gpu, "gpu") is None
    assert claim(worker)
    assert claim(worker)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["completes", "fails", "loses its worker"])
def test_a_freed_place_wakes_a_worker_at_once(
    template: RunTemplate,
    alice: User,
    worker: Worker,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    settings.QUEUE_LIMITS = {"default": 1}
    for _ in range(2):
        launch(template, alice, NO_CACHE)
    attempt = claim(worker)
    rung: list[list[str]] = []
    monkeypatch.setattr("runs_app.recording.waking.wake_workers", lambda queues: rung.append(list(queues)))
    if how == "loses its worker":
        recording.bury_worker(worker, "died", most_deaths=1)
    else:
        recording.record_end(attempt, completed(attempt) if how == "completes" else FAILURE)
    assert ["default"] in rung


@pytest.mark.django_db(transaction=True)
def test_the_limit_of_a_queue_holds_however_many_workers_claim_at_once(
    template: RunTemplate, alice: User, settings: Any
) -> None:
    settings.QUEUE_LIMITS = {"default": 2}
    for _ in range(20):
        launch(template, alice, NO_CACHE)
    at_once, most, guard, errors = 0, 0, threading.Lock(), list[Exception]()

    def work() -> None:
        nonlocal at_once, most
        worker = hire()
        deadline = time.monotonic() + LIMIT
        try:
            while PipelineRun.objects.unfinished().exists() and time.monotonic() < deadline:
                if (attempt := recording.claim_ready_step(worker, "default")) is None:
                    time.sleep(0.001)
                    continue
                with guard:
                    at_once += 1
                    most = max(most, at_once)
                time.sleep(0.02)
                with guard:
                    at_once -= 1
                recording.record_end(attempt, completed(attempt))
        except Exception as error:  # noqa: BLE001  whatever it is, the test shows it
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert errors == []
    assert most == 2
    assert not PipelineRun.objects.unfinished().exists()


@pytest.mark.parametrize("text", ["gpu", "gpu=", "gpu=0", "gpu=-1", "gpu=two", "=2", "gpu=2;big=1"])
def test_a_limit_that_makes_no_sense_is_a_sentence_at_the_start(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("ZENWEB_QUEUE_LIMITS", text)
    with pytest.raises(ImproperlyConfigured, match="such as gpu=2,big=1"):
        env_numbers("ZENWEB_QUEUE_LIMITS")


def test_limits_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENWEB_QUEUE_LIMITS", "gpu=2, big machines = 1")
    assert env_numbers("ZENWEB_QUEUE_LIMITS") == {"gpu": 2, "big machines": 1}
