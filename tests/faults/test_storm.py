"""Everything at once: after any mix of faults, what was accepted ends, and nothing is left running by nobody."""

import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress

import httpx
import psutil
import pytest
import redis
from django.conf import settings
from django.db import connection

from runs_app.models import PipelineRun, Worker
from templates_app.models import RunTemplate
from tests.faults import database
from tests.faults.machine import IS_LONG, SEED, Machine, Witness, client_of, trigger, wait_for
from tests.faults.test_dying_workers import WORKING, assert_that_each_end_is_recorded_once, wait_until_over
from zenweb.cli.worker import worker_command

ROUNDS = 8  # in each of which every fault happens once


class Storm:
    def __init__(self, machine: Machine, chance: random.Random) -> None:
        self.machine, self.chance = machine, chance
        self.broker = machine.start_broker()
        self.workers = dict(zip(("w0", "w1"), machine.start_workers("w0", "w1"), strict=True))
        self.url = machine.start_web()
        self.frozen: psutil.Popen | None = None

    def faults(self) -> list[Callable[[], object]]:
        faults = [self.kill_a_worker, self.freeze_a_worker, self.wipe_the_broker, self.restart_the_broker]
        faults += [self.kill_the_web_server, self.stop_a_worker]
        faults += [self.restart_the_database] if settings.ON_POSTGRESQL else []
        self.chance.shuffle(faults)
        return faults

    def kill_a_worker(self) -> None:
        self._replace(signal.SIGKILL)

    def stop_a_worker(self) -> None:
        self._replace(signal.SIGTERM)

    def freeze_a_worker(self) -> None:
        """For good, but for the end; on SQLite not in the middle of a transaction, whose lock it would keep."""
        self.thaw()
        self.frozen = self.workers[self.chance.choice(list(self.workers))]
        self.frozen.send_signal(signal.SIGSTOP)
        while not settings.ON_POSTGRESQL and self._is_locked():
            self.frozen.send_signal(signal.SIGCONT)
            self.frozen.send_signal(signal.SIGSTOP)

    def _is_locked(self) -> bool:
        with closing(sqlite3.connect(settings.DATABASES["default"]["NAME"], timeout=1)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
        return False

    def wipe_the_broker(self) -> None:
        with redis.Redis(unix_socket_path=str(self.machine.folder.socket)) as client:
            client.flushall()

    def restart_the_broker(self) -> None:
        self.broker.kill()
        self.broker.wait()
        self.broker = self.machine.start_broker()

    def kill_the_web_server(self) -> None:
        self.machine.kill(self.machine.web)
        self.url = self.machine.start_web()

    def restart_the_database(self) -> None:
        connection.close()
        database.stop_server(self.chance.choice(["fast", "immediate"]))
        database.start_server()

    def thaw(self) -> None:
        if self.frozen is not None and self.frozen.is_running():
            self.frozen.send_signal(signal.SIGCONT)
        self.frozen = None

    def _replace(self, number: signal.Signals) -> None:
        name = self.chance.choice(list(self.workers))
        self.workers[name].send_signal(number)
        self.workers[name].send_signal(signal.SIGCONT)
        self.workers[name].wait(20)
        self.workers[name] = self.machine.start(name, worker_command(slots=2, name=name))


@pytest.mark.skipif(not IS_LONG, reason="the dearest of all: in the long form only")
def test_after_any_mix_of_faults_what_was_accepted_ends_and_nothing_is_run_by_nobody(
    machine: Machine, witness: Witness, key: str
) -> None:
    chance = random.Random(SEED)
    storm = Storm(machine, chance)
    template = RunTemplate.objects.get(name="witnessed").id
    accepted: list[str] = []
    for _ in range(ROUNDS):
        for strike in storm.faults():
            body = witness.parameters(WORKING, seconds=chance.uniform(0, 0.4), again=0.1)
            with client_of(storm.url, key) as site, suppress(httpx.TransportError):
                for _ in range(2):
                    answer = trigger(site, template, body)
                    assert answer.status_code in {200, 503}, answer.text
                    accepted += [answer.json()["id"]] if answer.status_code == 200 else []
            time.sleep(chance.uniform(0, 0.8))  # at any moment
            strike()
    storm.thaw()
    assert set(accepted) <= {str(pk) for pk in PipelineRun.objects.values_list("pk", flat=True)}
    assert len(accepted) > ROUNDS * 6
    wait_until_over(list(PipelineRun.objects.all()), 120)
    assert_that_each_end_is_recorded_once(witness)
    wait_for(lambda: Worker.objects.alive().count() == 2)
