"""What steps print: kept whole whatever it is, bounded, and told while they run."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from runs_app.logs import Follower, Piece, read_log, read_run_log
from runs_app.models import LogChunk, PipelineRun, StepAttempt, StepRun
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.runs.test_worker import in_background, wait_for
from zenweb.accounts.models import User

API = "/api/v1"
transactional = pytest.mark.django_db(transaction=True)


@pytest.fixture
def printing(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("printing.printing_pipeline", alice, stacks["celery"]), alice, "printing")


def start_printing(template: RunTemplate, alice: User, **parameters: str) -> PipelineRun:
    return launch(template, alice, {"steps": {"prints": {"parameters": parameters}}})


def log_of(run: PipelineRun) -> str:
    return read_log(StepRun.objects.get(run=run))


@transactional
def test_garbage_is_kept_as_text_and_harms_nothing(
    printing: RunTemplate, alice: User, worker: StepWorker, rest: Client
) -> None:
    run = start_printing(printing, alice, what="garbage")
    worker.run_ready_steps("default")
    log = log_of(run)
    assert " before\n" in log
    assert log.endswith("after é\nfinished\n")
    assert "\x00" not in log
    assert rest.get(f"{API}/steps/{StepRun.objects.get(run=run).pk}/logs").json() == log


@transactional
def test_a_line_of_a_megabyte_is_kept_whole(printing: RunTemplate, alice: User, worker: StepWorker) -> None:
    run = start_printing(printing, alice, what="a long line")
    worker.run_ready_steps("default")
    assert log_of(run) == "x" * 1_000_000 + " its end\nfinished\n"


@transactional
def test_a_log_is_cut_at_its_limit_and_says_so(
    printing: RunTemplate, alice: User, worker: StepWorker, settings: Any
) -> None:
    settings.LOG_LIMIT = 10_000
    run = start_printing(printing, alice, what="a lot")
    worker.run_ready_steps("default")
    run.refresh_from_db()
    assert run.status == "completed"
    kept, _, notice = log_of(run).partition("\n[cut here")
    assert len(kept) == 10_000
    assert notice == ": a step's log holds at most 10000 bytes]\n"


@transactional
def test_what_a_running_step_prints_is_told_within_a_second(
    printing: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    run = start_printing(printing, alice, what="so far", until=str(tmp_path / "go"))
    heard: list[tuple[float, Piece | None]] = []

    def listen() -> None:
        heard.extend((time.monotonic(), piece) for piece in Follower(run.pk).follow())

    working = in_background(lambda: worker.run_ready_steps("default"))
    listening = in_background(listen)
    wait_for(LogChunk.objects.exists)
    printed = time.monotonic()
    wait_for(lambda: heard)
    assert heard[0][0] - printed < 1
    (tmp_path / "go").touch()
    working.join(10)
    listening.join(10)
    assert "".join(piece.text for _, piece in heard if piece) == "so far\nfinished\n"


@transactional
def test_a_log_is_followed_over_rest_as_lines_of_json(
    printing: RunTemplate, alice: User, worker: StepWorker, rest: Client
) -> None:
    run = start_printing(printing, alice)
    worker.run_ready_steps("default")
    step = StepRun.objects.get(run=run)
    for address in (f"runs/{run.name}/logs", f"steps/{step.pk}/logs"):
        answer = rest.get(f"{API}/{address}?follow=true")
        assert answer["Content-Type"] == "application/x-ndjson"
        lines = b"".join(answer.streaming_content).decode().splitlines()
        assert [json.loads(line) for line in lines] == [
            {"step": "prints", "attempt": 1, "text": "hello\nfinished\n"}
        ]


@transactional
def test_a_runs_log_has_its_steps_under_their_names(
    template: RunTemplate, alice: User, worker: StepWorker, rest: Client, settings: Any
) -> None:
    run = launch(template, alice)
    worker.run_ready_steps("default")
    whole = rest.get(f"{API}/runs/{run.pk}/logs").json()
    assert whole == "--- trainer\ntraining a svm\n--- evaluator\n"
    settings.LOG_LIMIT = 5
    assert read_run_log(run) == "--- trainer\ntrain\n[cut here: the logs of its steps have the rest]\n"


@transactional
def test_a_stored_log_that_is_gone_leaves_its_end(
    printing: RunTemplate, alice: User, worker: StepWorker
) -> None:
    run = start_printing(printing, alice)
    worker.run_ready_steps("default")
    Path(StepAttempt.objects.get(step__run=run).log_uri).unlink()
    assert log_of(run) == "hello\nfinished\n"


def test_silence_is_told_as_well(template: RunTemplate, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a connection which nobody listens to any more is found out."""
    monkeypatch.setattr("runs_app.logs.HEARTBEAT", 0)
    assert next(Follower(launch(template, alice).pk).follow()) is None


def test_a_stranger_follows_nothing(client: Client, template: RunTemplate, alice: User) -> None:
    run = launch(template, alice)
    assert client.get(f"{API}/runs/{run.pk}/logs?follow=true").status_code == 401
