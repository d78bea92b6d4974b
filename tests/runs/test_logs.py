"""What steps print: kept whole whatever it is, bounded, and told while they run."""

import gzip
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from runs_app.api.logs import FOLLOWERS
from runs_app.captured_output import CutLog
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
    head, notice, tail = re.split(r"\n(\[cut here: .*\])\n", log_of(run))
    assert (len(head), len(tail)) == (7_500, 2_500)
    assert notice == "[cut here: a step's log holds at most 10000 bytes; the last 2500 follow]"
    assert tail.endswith("line 39999\nfinished\n")


@pytest.mark.parametrize(
    ("size", "is_cut"),
    [(0, False), (75, False), (76, False), (99, False), (100, False), (101, True), (400, True)],
)
@pytest.mark.parametrize("piece", [1, 25, 75, 400])  # one ends exactly where the beginning has no more room
def test_a_log_says_that_it_was_cut_exactly_where_something_is_missing(
    size: int, is_cut: bool, piece: int
) -> None:
    printed = bytes(range(33, 233)) * 2
    log = CutLog(100)
    for start in range(0, size, piece):
        log.add(printed[start : min(start + piece, size)])
    if is_cut:
        notice = b"\n[cut here: a step's log holds at most 100 bytes; the last 25 follow]\n"
        assert log.whole() == printed[:75] + notice + printed[size - 25 : size]
    else:
        assert log.whole() == printed[:size]


@transactional
def test_a_log_is_stored_compressed_and_read_back_within_a_bound(
    printing: RunTemplate, alice: User, worker: StepWorker, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_printing(printing, alice, what="a lot")
    worker.run_ready_steps("default")
    stored = Path(StepAttempt.objects.get(step__run=run).log_uri)
    whole = log_of(run)
    assert whole.startswith("line 0\n")
    assert whole.endswith("line 39999\nfinished\n")
    assert stored.name == "log.txt.gz"
    assert stored.stat().st_size < len(whole) / 4
    settings.LOG_LIMIT = 1000  # lowered since then
    assert log_of(run) == whole
    monkeypatch.setattr("runs_app.logs.MOST_READ", 2_000)
    stored.write_bytes(gzip.compress(b"x" * 2_000))
    assert log_of(run) == "x" * 2_000
    stored.write_bytes(gzip.compress(b"x" * 100_000_000))
    cut = "\n[cut here: at most 2000 bytes of a stored log are shown; its file has the rest]\n"
    assert log_of(run) == "x" * 2_000 + cut
    stored.write_bytes(b"no gzip")
    assert log_of(run).endswith("line 39999\nfinished\n")  # its end, from the row


@transactional
def test_a_log_that_was_stored_as_plain_text_is_read_as_before(
    printing: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    run = start_printing(printing, alice)
    worker.run_ready_steps("default")
    (tmp_path / "log.txt").write_text("of old\n")
    StepAttempt.objects.filter(step__run=run).update(
        artifact_uri=str(tmp_path), log_uri=str(tmp_path / "log.txt")
    )
    assert log_of(run) == "of old\n"


@transactional
def test_a_link_where_a_log_was_stored_is_not_followed(
    printing: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    run = start_printing(printing, alice)
    worker.run_ready_steps("default")
    (tmp_path / "secret").write_bytes(gzip.compress(b"the server's own"))
    stored = Path(StepAttempt.objects.get(step__run=run).log_uri)
    stored.unlink()
    stored.symlink_to(tmp_path / "secret")
    assert "the server's own" not in log_of(run)


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


def test_what_an_attempt_printed_outlives_its_worker(template: RunTemplate, alice: User) -> None:
    run = launch(template, alice)
    step = run.steps.get(name="trainer")
    lost = StepAttempt.objects.create(
        step=step, number=1, start_time=timezone.now(), end_time=timezone.now(), artifact_uri="x"
    )
    LogChunk.objects.create(attempt=lost, text="half a line")
    assert read_log(step) == "half a line"
    assert read_run_log(run).startswith("--- trainer\nhalf a line\n--- evaluator")


def follow(rest: Client, run: PipelineRun) -> Any:
    return rest.get(f"{API}/runs/{run.pk}/logs?follow=true")


@transactional
def test_who_is_one_follower_too_many_is_told_to_come_back(
    rest: Client, template: RunTemplate, alice: User, settings: Any
) -> None:
    settings.WEB_THREADS = 8
    run = launch(template, alice)
    first = follow(rest, run)
    refused = follow(rest, run)
    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    assert "without follow=true" in refused.json()["detail"][1]
    assert rest.get(f"{API}/runs/{run.pk}/logs").status_code == 200
    first.close()  # as the server does when the connection is gone, begun or not
    first.close()
    second = follow(rest, run)
    assert (second.status_code, FOLLOWERS.taken) == (200, 1)
    second.close()


def test_an_answer_that_is_long_enough_says_that_there_may_be_more(
    rest: Client, template: RunTemplate, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs_app.logs.LONGEST", 0)
    run = launch(template, alice)
    attempt = print_something(run, "so far", "further")
    assert list(follow(rest, run).streaming_content) == [
        b'{"step": "trainer", "attempt": 1, "text": "so far"}\n',
        b'{"step": "trainer", "attempt": 1, "text": "further"}\n',
        b'{"goes_on": true}\n',
    ]
    attempt.delete()
    run.delete()
    assert list(Follower(run.pk).follow()) == []


def test_a_log_is_read_in_pieces_as_it_is_followed(
    template: RunTemplate, alice: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("runs_app.logs.PIECE", 1_000)
    run = launch(template, alice)
    attempt = print_something(run, "é" * 700)
    follower = Follower(run.pk)
    assert [piece.text for piece in follower.read_on()] == ["é" * 700]
    (tmp_path / "log.txt.gz").write_bytes(gzip.compress(("é" * 2_000).encode()))
    attempt.artifact_uri, attempt.log_uri = str(tmp_path), str(tmp_path / "log.txt.gz")
    attempt.end_time = timezone.now()
    attempt.save()
    assert [len(piece.text) for piece in follower.read_on()] == [300, 500, 500]
    assert list(follower.read_on()) == []


def print_something(run: PipelineRun, *texts: str) -> StepAttempt:
    step = run.steps.get(name="trainer")
    attempt = StepAttempt.objects.create(step=step, number=1, start_time=timezone.now(), artifact_uri="x")
    for text in texts:
        LogChunk.objects.create(attempt=attempt, text=text)
    return attempt
