"""Runs that wait for runs, three deep, with one worker that has one slot; and what becomes of them when it dies."""

from pathlib import Path

import httpx

from runs_app.models import PipelineRun
from tests.faults.machine import RECOVERY, Machine, trigger, wait_for

LEVELS = 3


def asked(site: httpx.Client, folder: Path) -> PipelineRun:
    body = {"steps": {"descends": {"parameters": {"levels": LEVELS, "folder": str(folder)}}}}
    answer = trigger(site, "descending", body)
    assert answer.status_code == 200, answer.text
    return PipelineRun.objects.get(pk=answer.json()["id"])


def test_one_slot_is_enough_and_a_dead_worker_costs_no_run_a_second_time(
    machine: Machine, site: httpx.Client, tmp_path: Path
) -> None:
    machine.settings["ZENWEB_STEP_SERVER_URL"] = str(site.base_url).rstrip("/")
    worker = machine.start_worker("w1", slots=1)
    run = asked(site, tmp_path)
    wait_for((tmp_path / "begun-0-1").exists)
    machine.kill(worker)
    machine.start_worker("w2", slots=1)
    wait_for((tmp_path / "begun-0-2").exists)
    (tmp_path / "go").touch()
    wait_for(lambda: PipelineRun.objects.filter(pk=run.pk, status="completed").exists(), RECOVERY + 30)
    chain = list(PipelineRun.objects.order_by("created").values_list("depth", "status"))
    assert chain == [(None, "completed"), *((depth, "completed") for depth in range(1, LEVELS + 1))]
