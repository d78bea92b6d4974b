"""What steps printed, while they run and afterwards."""

import gzip
import logging
import time
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from django.conf import settings
from django.db import close_old_connections
from django.db.models import QuerySet

from runs_app.models import LogChunk, PipelineRun, StepAttempt, StepRun
from zenweb.artifacts import store
from zenweb.exceptions import ZenWebError

logger = logging.getLogger(__name__)
MOST_READ = 100 * 1024 * 1024
NOTICE = 200  # bytes of the line that says where a log was cut
INTERVAL = 0.25  # seconds between two looks
HEARTBEAT = 5.0  # seconds of silence after which a follower hears that this still goes on


@dataclass(frozen=True)
class Piece:
    """Some of what an attempt printed."""

    step: str
    attempt: int
    text: str


def read_log(step: StepRun) -> str:
    """Everything its newest attempt printed so far."""
    attempt = step.attempts.order_by("number").last()
    return read_attempt_log(attempt) if attempt else ""


def read_run_log(run: PipelineRun) -> str:
    """What the newest attempts of a run's steps printed so far, each under its step's name; bounded as one log is."""
    texts, room = list[str](), settings.LOG_LIMIT
    for step in run.steps.order_by("index"):
        text = read_log(step)
        end = "\n" if text and not text.endswith("\n") else ""
        texts.append(f"--- {step.name}\n{text[:room]}{end}")
        room -= len(text)
        if room < 0:
            texts.append("\n[cut here: the logs of its steps have the rest]\n")
            break
    return "".join(texts)


def read_attempt_log(attempt: StepAttempt) -> str:
    """The stored log of an attempt that has ended, the pieces so far of one that runs."""
    if attempt.end_time is None:
        return "".join(attempt.log_chunks.values_list("text", flat=True))
    if not attempt.log_uri:  # its worker died: what there is was shown while it ran
        return "".join(attempt.log_chunks.values_list("text", flat=True)) or attempt.log_tail
    try:
        text = _read(attempt.log_uri).decode("utf-8", "replace")
    except (ZenWebError, OSError, EOFError, zlib.error):
        logger.warning("The log %s cannot be read; its end is shown.", attempt.log_uri, exc_info=True)
        return attempt.log_tail
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _read(uri: str) -> bytes:
    """Bounded only against what no worker wrote: the step that printed it could have written its file, too.

    The limit may have been higher when the log was stored.
    """
    most = max(MOST_READ, settings.LOG_LIMIT + NOTICE)
    with store.open(uri) as file:
        if not uri.endswith(".gz"):  # as logs were stored before
            return _read_most(file, most)
        with gzip.GzipFile(fileobj=file) as packed:
            return _read_most(packed, most)


def _read_most(file: IO[bytes] | gzip.GzipFile, most: int) -> bytes:
    text = file.read(most)
    if file.read(1):
        text += (
            f"\n[cut here: at most {most} bytes of a stored log are shown; its file has the rest]\n".encode()
        )
    return text


class Follower:
    """Reads on in what the attempts of a run, or of one of its steps, print."""

    def __init__(self, run_id: uuid.UUID, step_id: uuid.UUID | None = None) -> None:
        self._run_id, self._step_id = run_id, step_id
        self._last_chunk: dict[uuid.UUID, int] = {}
        self._sent: dict[uuid.UUID, int] = {}
        self._done: set[uuid.UUID] = set()

    def follow(self) -> Iterator[Piece | None]:
        """Pieces until the run (or the step) has ended; None when there was nothing for a while.

        No database connection is held between two looks.
        """
        silent_since = time.monotonic()
        while True:
            is_over = self._is_over()  # asked first, so that the last look misses nothing
            for piece in self.read_on():
                silent_since = time.monotonic()
                yield piece
            if is_over:
                return
            if time.monotonic() - silent_since > HEARTBEAT:
                silent_since = time.monotonic()
                yield None
            close_old_connections()
            time.sleep(INTERVAL)

    def read_on(self) -> Iterator[Piece]:
        """What was printed since the last look."""
        for attempt in self._attempts():
            if attempt.end_time is None:
                yield from self._new_pieces(attempt)
            elif attempt.pk not in self._done:
                self._done.add(attempt.pk)
                # The pieces are gone now, and the whole log begins with them.
                yield from self._piece(attempt, read_attempt_log(attempt)[self._sent.pop(attempt.pk, 0) :])

    def _new_pieces(self, attempt: StepAttempt) -> Iterator[Piece]:
        # Per attempt: across attempts, a piece with a smaller number may be committed after one with a greater.
        last = self._last_chunk.get(attempt.pk, 0)
        for chunk in LogChunk.objects.filter(attempt=attempt, pk__gt=last).order_by("pk"):
            self._last_chunk[attempt.pk] = chunk.pk
            self._sent[attempt.pk] = self._sent.get(attempt.pk, 0) + len(chunk.text)
            yield from self._piece(attempt, chunk.text)

    def _piece(self, attempt: StepAttempt, text: str) -> Iterator[Piece]:
        if text:
            yield Piece(attempt.step.name, attempt.number, text)

    def _attempts(self) -> QuerySet[StepAttempt]:
        attempts = StepAttempt.objects.filter(step__run=self._run_id).select_related("step")
        if self._step_id is not None:
            attempts = attempts.filter(step=self._step_id)
        fields = ("number", "end_time", "log_uri", "log_tail", "step__name")
        return attempts.only(*fields).order_by("start_time", "number")

    def _is_over(self) -> bool:
        rows = (
            PipelineRun.objects.filter(pk=self._run_id)
            if self._step_id is None
            else StepRun.objects.filter(pk=self._step_id)
        )
        return not rows.unfinished().exists()
