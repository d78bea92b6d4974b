"""The broker goes away, forgets or repeats itself while runs are asked for: all are accepted, and all end."""

import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from runs_app.models import PipelineRun, Schedule, StepAttempt
from templates_app.models import RunTemplate
from tests.faults.conftest import Launch
from tests.faults.machine import IS_LONG, SEED, Machine, Witness, figures, trigger, wait_for
from tests.faults.test_dying_workers import WORKING, assert_that_each_end_is_recorded_once, wait_until_over
from zenweb.enums import ExecutionStatus

TRIGGERS = 500 if IS_LONG else 60
BROKER_DEATHS = 20 if IS_LONG else 5
OUTAGE = 30 if IS_LONG else 4  # seconds


def killed_and_started_again(machine: Machine) -> Callable[[], object]:
    broker = machine.processes[0]
    broker.kill()
    broker.wait()
    return machine.start_broker


def frozen(machine: Machine) -> Callable[[], object]:
    broker = machine.processes[0]
    broker.send_signal(signal.SIGSTOP)
    return lambda: broker.send_signal(signal.SIGCONT)


def wiped(machine: Machine) -> Callable[[], object]:
    with redis.Redis(unix_socket_path=str(machine.folder.socket)) as client:
        client.flushall()
    return lambda: None


@pytest.mark.parametrize("outage", [killed_and_started_again, frozen, wiped])
def test_every_run_asked_for_during_an_outage_is_accepted_and_ends(
    machine: Machine, witness: Witness, site: httpx.Client, outage: Callable[[Machine], Callable[[], object]]
) -> None:
    machine.start_worker()
    template = RunTemplate.objects.get(name="single")
    body = witness.parameters(["only"])
    assert trigger(site, template.id, body).status_code == 200
    waits: list[float] = []
    repair: Callable[[], object] | None = None
    began = time.monotonic()
    for number in range(TRIGGERS):
        if number == TRIGGERS // 4:
            repair = outage(machine)
        started = time.monotonic()
        assert trigger(site, template.id, body).status_code == 200
        waits.append(time.monotonic() - started)
        # Spread over the outage, not over more: once per pause a caller waits for the broker's time-out.
        time.sleep(max(0.0, began + (number + 1) * OUTAGE / TRIGGERS - time.monotonic()))
    wait_for(lambda: time.monotonic() - began > OUTAGE, OUTAGE + 1)
    if repair is not None:
        repair()
    wait_until_over(list(PipelineRun.objects.all()), 60)
    assert PipelineRun.objects.filter(status=ExecutionStatus.COMPLETED).count() == TRIGGERS + 1
    assert witness.count("start") == TRIGGERS + 1
    assert_that_each_end_is_recorded_once(witness)
    p95 = sorted(waits)[int(len(waits) * 0.95)]
    figures.append(f"{TRIGGERS} triggers, Redis {outage.__name__}: p95 {p95 * 1000:.0f} ms")
    assert p95 <= (0.05 if IS_LONG else 0.5)  # the short form shares two cores with other tests


def test_a_broker_that_never_comes_back_costs_seconds_and_no_run(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    broker = machine.start_broker()
    machine.start_worker()
    broker.kill()
    broker.wait()
    runs = [start("witnessed", witness.parameters(WORKING)) for _ in range(3)]
    wait_until_over(runs, 30)
    assert {run.status for run in PipelineRun.objects.all()} == {ExecutionStatus.COMPLETED}
    assert_that_each_end_is_recorded_once(witness)


def test_a_worker_outlives_brokers_that_die_while_it_works(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    chance = random.Random(SEED)
    broker = machine.start_broker()
    worker = machine.start_worker()
    wait_until_over([start("single", witness.parameters(["only"]))], 30)
    for number in range(1, BROKER_DEATHS + 1):
        runs = [start("single", witness.parameters(["only"])) for _ in range(3)]
        time.sleep(chance.uniform(0, 0.1))
        broker.kill()
        broker.wait()
        wait_for(lambda number=number: machine.log("w1").count(b"Connection to broker lost") >= number)
        broker = machine.start_broker()
        wait_until_over(runs, 30)
        wait_for(lambda number=number: machine.log("w1").count(b"Connected to") > number)
    assert worker.is_running()
    assert b"CRITICAL" not in machine.log("w1")
    assert set(StepAttempt.objects.values_list("number", flat=True)) == {1}


def test_messages_delivered_three_times_and_out_of_order_change_nothing(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    chance = random.Random(SEED)
    machine.start_broker()
    runs = [start("witnessed", witness.parameters(WORKING, seconds=0.02)) for _ in range(10)]
    with redis.Redis(unix_socket_path=str(machine.folder.socket)) as queue:
        sent = queue.lrange("default", 0, -1)
        assert len(sent) >= len(runs)
        repeated = [message for message in sent for _ in range(3)]
        chance.shuffle(repeated)
        early, late = repeated[::2], repeated[1::2]
        queue.delete("default")
        queue.rpush("default", *early)
        machine.start_workers("w0", "w1")
        for message in late:  # while the runs go on, and when they have ended
            queue.rpush("default", message)
            wait_for(lambda: not queue.exists("default"))
    wait_until_over(runs, 30)
    assert_that_each_end_is_recorded_once(witness)
    assert set(StepAttempt.objects.values_list("number", flat=True)) == {1}


def test_short_steps_do_not_wait_behind_a_long_one(machine: Machine, witness: Witness, start: Launch) -> None:
    machine.start_broker()
    machine.start_workers("w0", "w1", slots=1)
    warm = [start("single", witness.parameters(["only"], seconds=0.3)) for _ in range(2)]
    wait_until_over(warm, 10)
    start("single", witness.parameters(["only"], seconds=20))
    wait_for(lambda: witness.count("start") == 3)
    ended = witness.count("end")
    for together in (2, 1, 1, 1, 1):  # several times: which worker is rung for is the broker's choice
        asked = time.monotonic()
        for _ in range(together):
            start("single", witness.parameters(["only"]))
        ended += together
        wait_for(lambda ended=ended: witness.count("end") == ended, 5)
        assert max(witness.moments("end")) - asked < 0.5


def test_one_key_makes_one_run_or_anything_else_however_many_ask_at_once(
    machine: Machine, witness: Witness, site: httpx.Client
) -> None:
    template = RunTemplate.objects.get(name="single")
    body = witness.parameters(["only"])
    with ThreadPoolExecutor(50) as crowd:
        answers = list(
            crowd.map(lambda _: trigger(site, template.id, body, **{"Idempotency-Key": "k"}), range(50))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    other = trigger(site, template.id, witness.parameters(["only"], seconds=1), **{"Idempotency-Key": "k"})
    assert other.status_code == 422
    assert PipelineRun.objects.count() == 1
    schedule = {"name": "nightly", "template": str(template.id), "cron_expression": "0 0 * * *"}
    with ThreadPoolExecutor(50) as crowd:
        told = list(
            crowd.map(
                lambda _: site.post("/api/v1/schedules", json=schedule, headers={"Idempotency-Key": "k"}),
                range(50),
            )
        )
    assert {answer.status_code for answer in told} == {200}
    assert {answer.json()["id"] for answer in told} == {str(Schedule.objects.get().pk)}
    assert sum("Idempotent-Replayed" not in answer.headers for answer in told) == 1
