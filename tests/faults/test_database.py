"""The database server goes away under load: what was accepted ends, what was not is told so."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.conf import settings
from django.db import connection

from runs_app.models import PipelineRun, StepAttempt, StepRun
from templates_app.models import RunTemplate
from tests.faults import database
from tests.faults.conftest import Launch
from tests.faults.machine import IS_LONG, LEASE, SEED, Machine, Witness, figures, trigger, wait_for
from tests.faults.test_dying_workers import WORKING, assert_that_each_end_is_recorded_once, wait_until_over
from zenweb.api.errors import NO_DATABASE
from zenweb.enums import ExecutionStatus
from zenweb.settings import DATABASE_PATIENCE

pytestmark = pytest.mark.skipif(not settings.ON_POSTGRESQL, reason="SQLite has no server to stop")
RESTARTS = 25 if IS_LONG else 4


def restart_again_and_again(chance: random.Random) -> None:
    for _ in range(RESTARTS):
        time.sleep(chance.uniform(0.5, 3))
        database.stop_server(chance.choice(["fast", "immediate"]))
        time.sleep(chance.uniform(0, 0.7))
        database.start_server()


def test_runs_accepted_while_the_database_is_restarted_all_end(
    machine: Machine, witness: Witness, site: httpx.Client
) -> None:
    machine.start_workers("w0", "w1")
    template = RunTemplate.objects.get(name="witnessed").id
    body = witness.parameters(WORKING, seconds=0.05, again=0.05)
    connection.close()
    accepted, refused = list[str](), list[str]()
    with ThreadPoolExecutor(1) as operator:
        restarting = operator.submit(restart_again_and_again, random.Random(SEED))
        while not restarting.done():
            answer = trigger(site, template, body)
            if answer.status_code == 200:
                accepted.append(answer.json()["id"])
            else:
                assert answer.status_code == 503, answer.text
                assert answer.json()["detail"] == ["RuntimeError", NO_DATABASE]
                refused.append(answer.headers["Retry-After"])
            time.sleep(0.1)
        restarting.result()
    figures.append(f"PostgreSQL, {RESTARTS} restarts: {len(accepted)} accepted, {len(refused)} refused (503)")
    runs = list(PipelineRun.objects.all())
    assert set(accepted) <= {str(run.pk) for run in runs}
    assert len(accepted) > RESTARTS
    wait_until_over(runs, 120 if IS_LONG else 60)
    assert {run.status for run in PipelineRun.objects.all()} == {ExecutionStatus.COMPLETED}
    assert_that_each_end_is_recorded_once(witness)


def test_a_step_that_ends_while_the_database_is_away_is_recorded_and_not_run_again(
    machine: Machine, witness: Witness, site: httpx.Client, start: Launch
) -> None:
    """It is away for longer than a lease, and than a thread waits for a connection."""
    machine.start_workers("w0", "w1", slots=1)
    template = RunTemplate.objects.get(name="single").id
    run = start("single", witness.parameters(["only"], seconds=1))
    wait_for(lambda: witness.count("start") == 1)
    connection.close()
    database.stop_server("immediate")
    stopped = time.monotonic()
    wait_for(lambda: witness.count("end") == 1)
    refused = trigger(site, template, witness.parameters(["only"]))
    assert refused.status_code == 503
    assert refused.json()["detail"] == ["RuntimeError", NO_DATABASE]
    wait_for(lambda: time.monotonic() - stopped > max(DATABASE_PATIENCE + 2, 2 * LEASE))
    database.start_server()
    wait_until_over([run], 40)
    run.refresh_from_db()
    assert run.status == ExecutionStatus.COMPLETED
    assert witness.count("start") == 1
    attempt, step = StepAttempt.objects.get(), StepRun.objects.get()
    assert attempt.status == ExecutionStatus.COMPLETED
    assert step.worker_deaths == 0
    for recorded in (attempt, step):  # the time without a database is none of theirs
        assert recorded.duration is not None
        assert recorded.duration.total_seconds() < DATABASE_PATIENCE
