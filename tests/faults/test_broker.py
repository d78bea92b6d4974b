"""A trigger is answered whatever the broker does, and the run starts all the same."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from django.test import Client
from redis import Redis

from runs_app import dispatch, housekeeping
from runs_app.models import PipelineRun
from templates_app.models import RunTemplate
from zenweb.cli.broker import find_redis

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[psutil.Popen]:
    socket = tmp_path / "redis.sock"
    settings.CELERY_BROKER_URL = f"redis+socket://{socket}"
    monkeypatch.setattr(dispatch, "_doorbell", dispatch.Doorbell())
    with psutil.Popen(
        [str(find_redis()), "--port", "0", "--unixsocket", str(socket), "--save", ""],
        stdout=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
        with suppress(psutil.NoSuchProcess):
            process.kill()


def trigger(rest: Client, template: RunTemplate) -> float:
    started = time.monotonic()
    answer = rest.post(f"/api/v1/run_templates/{template.id}/runs", "{}", content_type="application/json")
    assert answer.status_code == 200
    return time.monotonic() - started


def test_a_ring_reaches_a_broker_that_works(broker: psutil.Popen) -> None:
    assert dispatch.wake_workers(["default", "default"])


def test_rings_that_nobody_hears_do_not_pile_up(broker: psutil.Popen, settings: Any) -> None:
    for _ in range(2 * dispatch.MOST_RINGS):
        assert dispatch.wake_workers(["default"])
    assert dispatch.wake_workers(["gpu"] * 3)
    for _ in range(2 * dispatch.MOST_RINGS):
        assert dispatch.warm_up(uuid4(), "cpu")
    assert dispatch.wake_workers(["cpu"])
    with Redis(unix_socket_path=settings.CELERY_BROKER_URL.removeprefix("redis+socket://")) as redis:
        assert redis.llen("default") == dispatch.MOST_RINGS
        assert redis.llen("gpu") == 3
        assert redis.llen("cpu") == dispatch.LIMITS[dispatch.WARM_UP] + 1


def test_a_broker_that_is_no_redis_is_rung_as_well(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CELERY_BROKER_URL = "memory://"
    monkeypatch.setattr(dispatch, "_doorbell", dispatch.Doorbell())
    assert dispatch.wake_workers(["default"])


def test_a_frozen_broker_costs_one_time_out_and_then_nothing(
    broker: psutil.Popen, rest: Client, template: RunTemplate
) -> None:
    trigger(rest, template)
    os.kill(broker.pid, signal.SIGSTOP)
    first, *others = (trigger(rest, template) for _ in range(20))
    assert first < 1
    assert max(others) < 0.25
    assert PipelineRun.objects.count() == 21


def test_a_broker_that_is_gone_costs_nothing(
    broker: psutil.Popen, rest: Client, template: RunTemplate
) -> None:
    dispatch.wake_workers(["default"])
    broker.kill()
    broker.wait()
    assert max(trigger(rest, template) for _ in range(5)) < 0.5


def test_a_step_whose_ring_was_lost_is_rung_for_again(
    rest: Client, template: RunTemplate, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    trigger(rest, template)  # nobody listens
    rung: list[str] = []
    monkeypatch.setattr(housekeeping, "wake_workers", rung.extend)
    housekeeping.wake_for_forgotten_steps(["default"])
    assert rung == ["default"]
