"""What steps printed, while they run and afterwards."""

import codecs
import gzip
import logging
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import IO

from django.conf import settings
from django.db import close_old_connections
from django.db.models import Exists, OuterRef, QuerySet

from runs_app.models import LogChunk, PipelineRun, StepAttempt, StepRun
from zenweb.artifacts import store
from zenweb.exceptions import ZenWebError

logger = logging.getLogger(__name__)
MOST_READ = 100 * 1024 * 1024
NOTICE = 200  # bytes of the line that says where a log was cut
PIECE = 64 * 1024  # bytes that are read of a stored log at once
AT_ONCE = 20  # pieces of a running attempt
INTERVAL, LONGEST_INTERVAL = 0.25, 0.75  # seconds between two looks, the longer the longer nothing comes
LONGEST = 3600.0  # seconds, then whoever follows has to ask again, and to show that they still may
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
    later = StepAttempt.objects.filter(step=OuterRef("step"), number__gt=OuterRef("number"))
    newest = StepAttempt.objects.filter(~Exists(later), step__run=run)
    attempts = {attempt.step_id: attempt for attempt in newest}
    shown_live = set(LogChunk.objects.filter(attempt__in=newest).values_list("attempt", flat=True).distinct())
    for step in run.steps.order_by("index"):
        attempt = attempts.get(step.pk)
        text = _text_of(attempt, attempt.pk in shown_live) if attempt else ""
        end = "\n" if text and not text.endswith("\n") else ""
        texts.append(f"--- {step.name}\n{text[:room]}{end}")
        room -= len(text)
        if room < 0:
            texts.append("\n[cut here: the logs of its steps have the rest]\n")
            break
    return "".join(texts)


def _text_of(attempt: StepAttempt, was_shown_live: bool) -> str:
    """Pieces that are not there are not looked for: of many steps most have none."""
    return read_attempt_log(attempt) if attempt.log_uri or was_shown_live else attempt.log_tail


def read_attempt_log(attempt: StepAttempt) -> str:
    """The stored log of an attempt that has ended, the pieces so far of one that runs."""
    return "".join(log_in_pieces(attempt))


def log_in_pieces(attempt: StepAttempt) -> Iterator[str]:
    """The same, and never more of it in memory than a piece."""
    if attempt.end_time is None:
        yield from (chunk.text for chunk in _chunks_after(attempt, 0))
    elif attempt.log_uri:
        yield from _stored(attempt)
    else:  # its worker died: what there is was shown while it ran
        texts = (chunk.text for chunk in _chunks_after(attempt, 0))
        yield from chain([next(texts, attempt.log_tail)], texts)


def _stored(attempt: StepAttempt) -> Iterator[str]:
    decoder, has_begun = codecs.getincrementaldecoder("utf-8")("replace"), False
    try:
        for piece in chain(_read(attempt.log_uri, attempt.artifact_uri), [b""]):
            text = decoder.decode(piece, final=not piece).replace("\x00", "\N{REPLACEMENT CHARACTER}")
            has_begun = has_begun or bool(text)
            yield text
    except (ZenWebError, OSError, EOFError, zlib.error):
        logger.warning("The log %s cannot be read; its end is shown.", attempt.log_uri, exc_info=True)
        yield (
            "\n[cut here: the rest of this log cannot be read; its end is]\n" * has_begun + attempt.log_tail
        )


def _read(uri: str, root: str) -> Iterator[bytes]:
    """Bounded only against what no worker wrote: the step that printed it could have written its file, too.

    The limit may have been higher when the log was stored.
    """
    most = max(MOST_READ, settings.LOG_LIMIT + NOTICE)
    with ExitStack() as closing:
        file: IO[bytes] | gzip.GzipFile = closing.enter_context(store.open_within(uri, root))
        if uri.endswith(".gz"):  # before, logs were stored as they are
            file = closing.enter_context(gzip.GzipFile(fileobj=file))
        left = most
        while piece := file.read(min(PIECE, left)):
            left -= len(piece)
            yield piece
        if not left and file.read(1):
            yield f"\n[cut here: at most {most} bytes of a stored log are shown; its file has the rest]\n".encode()


def _chunks_after(attempt: StepAttempt, last: int) -> Iterator[LogChunk]:
    """A few at a time: they are read as fast as somebody listens, and meanwhile no query is open."""
    while chunks := list(LogChunk.objects.filter(attempt=attempt, pk__gt=last).order_by("pk")[:AT_ONCE]):
        yield from chunks
        last = chunks[-1].pk


class Follower:
    """Reads on in what the attempts of a run, or of one of its steps, print."""

    def __init__(self, run_id: uuid.UUID, step_id: uuid.UUID | None = None) -> None:
        self._run_id, self._step_id = run_id, step_id
        self._last_chunk: dict[uuid.UUID, int] = {}
        self._sent: dict[uuid.UUID, int] = {}
        self._done: set[uuid.UUID] = set()
        self.is_over = False
        """Whether there is no more to come. Else its time was over before, and somebody may follow from anew."""

    def follow(self) -> Iterator[Piece | None]:
        """Pieces until the run (or the step) has ended; None when there was nothing for a while.

        No database connection is held between two looks.
        """
        began = silent_since = time.monotonic()
        pause = INTERVAL
        while True:
            is_over = self._has_ended()  # asked first, so that the last look misses nothing
            for piece in self.read_on():
                silent_since, pause = time.monotonic(), INTERVAL
                yield piece
            self.is_over = is_over
            if is_over or time.monotonic() - began >= LONGEST:
                return
            if time.monotonic() - silent_since > HEARTBEAT:
                silent_since = time.monotonic()
                yield None
            close_old_connections()
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_INTERVAL)

    def read_on(self) -> Iterator[Piece]:
        """What was printed since the last look."""
        for attempt in self._attempts():
            if attempt.end_time is None:
                yield from self._new_pieces(attempt)
            elif attempt.pk not in self._done:
                self._done.add(attempt.pk)
                # The pieces are gone now, and the whole log begins with them.
                for text in _after(log_in_pieces(attempt), self._sent.pop(attempt.pk, 0)):
                    yield from self._piece(attempt, text)

    def _new_pieces(self, attempt: StepAttempt) -> Iterator[Piece]:
        # Per attempt: across attempts, a piece with a smaller number may be committed after one with a greater.
        for chunk in _chunks_after(attempt, self._last_chunk.get(attempt.pk, 0)):
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
        fields = ("number", "end_time", "artifact_uri", "log_uri", "log_tail", "step__name")
        return attempts.only(*fields).order_by("start_time", "number")

    def _has_ended(self) -> bool:
        rows = (
            PipelineRun.objects.filter(pk=self._run_id)
            if self._step_id is None
            else StepRun.objects.filter(pk=self._step_id)
        )
        return not rows.unfinished().exists()


def _after(texts: Iterable[str], length: int) -> Iterator[str]:
    """Without so many characters at the beginning."""
    for text in texts:
        yield text[length:]
        length = max(0, length - len(text))
