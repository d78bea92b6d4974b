"""One call for CI: start a run and be answered when it ends."""

import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import InterfaceError
from django.test import Client

from runs_app import endings
from runs_app.models import PipelineRun
from runs_app.services import stop_run
from templates_app.models import RunTemplate
from tests.runs.test_worker import wait_for
from zenweb.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)


def start(rest: Client, template: RunTemplate, query: str) -> Any:
    return rest.post(
        f"/api/v1/run_templates/{template.name}/runs{query}", "{}", content_type="application/json"
    )


def stop_when_there(alice: User) -> None:
    wait_for(PipelineRun.objects.exists)
    stop_run(actor=alice, run=PipelineRun.objects.get())


def test_a_run_that_is_waited_for_is_answered_at_its_end(
    rest: Client, template: RunTemplate, alice: User
) -> None:
    stopping = threading.Thread(target=stop_when_there, args=[alice])
    stopping.start()
    answer = start(rest, template, "?wait=30").json()
    stopping.join()
    assert answer["body"]["status"] == answer["summary"]["status"] == "stopped"
    assert answer["summary"]["is_finished"] is True
    assert answer["summary"]["url"] == f"http://testserver/runs/{answer['id']}/"
    assert sum(answer["summary"]["counts"].values()) == len(answer["summary"]["steps"])
    assert set(answer["summary"]["steps"][0]) == {"name", "status", "reason", "attempts", "seconds"}


def test_after_its_time_it_is_answered_as_it_stands_and_can_be_waited_for_again(
    rest: Client, template: RunTemplate, alice: User
) -> None:
    answer = start(rest, template, "?wait=0.05").json()
    assert answer["summary"]["is_finished"] is False
    stopping = threading.Thread(target=stop_when_there, args=[alice])
    stopping.start()
    later = rest.get(f"/api/v1/runs/{answer['id']}?wait=30").json()
    stopping.join()
    assert later["summary"]["status"] == "stopped"
    assert "summary" not in rest.get(f"/api/v1/runs/{answer['id']}").json()


@pytest.mark.parametrize("wait", ["601", "-1", "nan", "soon", ""])
def test_what_is_no_time_starts_nothing(rest: Client, template: RunTemplate, wait: str) -> None:
    answer = start(rest, template, f"?wait={wait}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/wait"
    assert f"a number from 0 to 600, not '{wait}'." in answer.json()["detail"][1]
    assert not PipelineRun.objects.exists()


def test_one_thread_looks_for_all_who_wait_and_ends_with_them(
    rest: Client, template: RunTemplate, alice: User
) -> None:
    for _ in range(3):
        start(rest, template, "")
    lookout = endings.Lookout()
    waiting = [
        threading.Thread(target=lookout.wait, args=[run.pk, 30])
        for run in PipelineRun.objects.all()
        for _ in "ab"
    ]
    for each in waiting:
        each.start()
    wait_for(lambda: sum(map(len, lookout._waiting.values())) == len(waiting))
    assert [thread.name for thread in threading.enumerate()].count("lookout") == 1
    for run in PipelineRun.objects.all():
        stop_run(actor=alice, run=run)
    for each in waiting:
        each.join(10)
        assert not each.is_alive()
    wait_for(lambda: "lookout" not in {thread.name for thread in threading.enumerate()})
    assert lookout._waiting == {}


def test_who_waits_outlives_a_lost_database(
    rest: Client, template: RunTemplate, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(rest, template, "")
    run, lookout, looks = PipelineRun.objects.get(), endings.Lookout(), [InterfaceError, ValueError]
    look = endings._ended_of

    def lose_it(run_ids: Any) -> Any:
        if looks:
            raise looks.pop()
        return look(run_ids)

    monkeypatch.setattr(endings, "_ended_of", lose_it)
    stop_run(actor=alice, run=run)
    began = time.monotonic()
    lookout.wait(run.pk, 30)
    assert time.monotonic() - began < 10
    assert looks == []


def test_who_is_one_too_many_is_answered_at_once(rest: Client, template: RunTemplate, alice: User) -> None:
    with ExitStack() as others:
        for _ in range(endings.WAITING.most_of_one):
            others.enter_context(endings.WAITING.taken_by(alice.pk))
        began = time.monotonic()
        assert start(rest, template, "?wait=600").json()["summary"]["is_finished"] is False
        assert time.monotonic() - began < 10
    assert endings.WAITING.taken == 0


def test_who_has_waited_longest_makes_room_for_others_of_the_account(
    rest: Client, template: RunTemplate, alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be gone: a server with threads does not see that."""
    settings.WEB_THREADS = 2  # and so one place to wait
    start(rest, template, "")
    run_id = PipelineRun.objects.get().pk
    first = threading.Thread(target=endings.wait_for_end, args=[run_id, 60, alice.pk])
    first.start()
    wait_for(lambda: endings.WAITING.taken == 1)
    endings.wait_for_end(run_id, 60, alice.pk)  # the first has only just come: this one is answered at once
    monkeypatch.setattr(endings, "FAIR_SHARE", 0)
    endings.wait_for_end(run_id, 60, "another account")
    assert first.is_alive()
    endings.wait_for_end(run_id, 0.01, alice.pk)
    first.join(10)
    assert not first.is_alive()
    assert (endings.WAITING.taken, endings._turns._turns) == (0, {})
