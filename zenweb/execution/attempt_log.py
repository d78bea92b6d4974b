"""What an attempt in this process prints: kept for the report, bounded, and handed out piece by piece."""

import codecs
import io
import logging
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO, TextIO
from weakref import WeakKeyDictionary

from zenweb.artifacts.previews import storable

LONGEST_HEAD, LONGEST_TAIL = 750_000, 250_000  # characters; of a longer log the middle is left out
LONGEST_PIECE = 100_000
LINE_END = re.compile(r"[\r\n]")


@dataclass(frozen=True)
class Piece:
    """Some of a log: the `number`-th piece of it, from 0."""

    number: int
    text: str


class AttemptLog:
    """Grows in one thread and is handed out in another. A piece ends with a line, so that no secret is cut in two."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces = 0
        self._handed_out: Piece | None = None
        self._length = 0
        self._head: list[str] = []
        self._tail = ""
        self._is_cut = False

    def write(self, text: str) -> None:
        text = storable(text)
        with self._lock:
            head = text[: max(0, LONGEST_HEAD - self._length)]
            self._length += len(text)
            if head:
                self._head.append(head)
            if len(head) < len(text):
                self._tail += text[len(head) :]
            if len(self._tail) > 2 * LONGEST_TAIL:
                self._tail, self._is_cut = self._tail[-LONGEST_TAIL:], True

    def piece(self) -> Piece:
        """What was not told yet, up to the end of a line; it may be nothing.

        One that may have been told is handed out again as it was: whoever knows its number ignores what comes under it.
        """
        with self._lock:
            if self._handed_out is not None:
                return self._handed_out
            text = "".join(self._head)
            piece = Piece(self._pieces, _whole_lines(text[:LONGEST_PIECE]))
            self._head = [text[len(piece.text) :]]
            self._handed_out = piece if piece.text else None
            return piece

    def told(self, piece: Piece) -> None:
        """Whoever was handed this piece has it now."""
        with self._lock:
            if piece == self._handed_out:
                self._pieces, self._handed_out = self._pieces + 1, None

    @property
    def handed_out(self) -> Piece | None:
        """The piece of which nobody knows whether it was told."""
        with self._lock:
            return self._handed_out

    def rest(self) -> Piece:
        """All that was not handed out."""
        with self._lock:
            text, tail = "".join(self._head), self._tail
            if self._is_cut or len(tail) > LONGEST_TAIL:
                most = LONGEST_HEAD + LONGEST_TAIL
                notice = f"a step's log holds at most {most} characters; the last {LONGEST_TAIL} follow"
                tail = f"\n[cut here: {notice}]\n{tail[-LONGEST_TAIL:]}"
            return Piece(self._pieces + (self._handed_out is not None), text + tail)


def _whole_lines(text: str) -> str:
    """Without the line that has not ended; one that is longer than a piece is broken where it is."""
    if len(text) == LONGEST_PIECE and not LINE_END.search(text):
        return text
    return text[: max(text.rfind("\n"), text.rfind("\r")) + 1]


class _Hearing:
    """Which attempts are printing in this process: one, unless several threads run a pipeline each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logs: list[AttemptLog] = []
        self._unheard: list[threading.Thread | None] = []
        self._streams = ExitStack()

    def open(self, log: AttemptLog, unheard: threading.Thread | None) -> None:
        with self._lock:
            self._logs.append(log)
            self._unheard.append(unheard)
            if len(self._logs) == 1:
                self._streams.enter_context(_teeing(self))

    def close(self, log: AttemptLog, unheard: threading.Thread | None) -> None:
        with self._lock:
            self._logs.remove(log)
            self._unheard.remove(unheard)
            if not self._logs:
                self._streams.close()

    def log_of_this_thread(self) -> AttemptLog | None:
        """The only one; of several that of the run that this thread, or what it was started by, belongs to.

        Where nobody knows that it is nobody's: another run's log would not hide this run's secrets.
        """
        if threading.current_thread() in self._unheard:
            return None
        logs = self._logs.copy()
        own = _own_log.get()
        return own if own in logs else (logs[0] if len(logs) == 1 else None)


_own_log: ContextVar[AttemptLog | None] = ContextVar("zenweb_log", default=None)
_hearing = _Hearing()


@contextmanager
def printing_also_into(log: AttemptLog, but_not_of: threading.Thread | None = None) -> Iterator[None]:
    """While it lasts, what this process prints goes into the log, too: also through loggers that were set up before.

    Not what other processes print: they write past this one. Nor what that thread does: if it told the log, each line
    about the telling would be told again. Nor what other threads print that have a log of their own.
    """
    token = _own_log.set(log)
    _hearing.open(log, but_not_of)
    try:
        yield
    finally:
        _hearing.close(log, but_not_of)
        _own_log.reset(token)


@contextmanager
def _teeing(hearing: _Hearing) -> Iterator[None]:
    streams = {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}
    tees: dict[Any, Any] = {stream: _Tee(hearing, stream) for stream in streams if stream is not None}
    try:
        with redirect_stdout(tees.get(sys.stdout)), redirect_stderr(tees.get(sys.stderr)):
            _hand_over(tees)
            yield
    finally:  # those that were set up meanwhile, too: the next step has a log of its own
        _hand_over({tee: stream for stream, tee in tees.items()})


def _hand_over(streams: dict[Any, Any]) -> None:
    """Let the handlers of all loggers that print into one of these streams print into the other."""
    root = logging.getLogger()
    loggers = [root, *root.manager.loggerDict.values()]
    for handler in {handler for logger in loggers for handler in getattr(logger, "handlers", ())}:
        if isinstance(handler, logging.StreamHandler) and handler.stream in streams:
            handler.setStream(streams[handler.stream])


class _Tee(io.TextIOBase):
    """Keeps what is printed, and prints it. In all else it is the stream, so that a subprocess may be given it."""

    def __init__(self, hearing: _Hearing, stream: TextIO) -> None:
        super().__init__()
        self._hearing, self._stream = hearing, stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @cached_property
    def buffer(self) -> "_ByteTee":
        return _ByteTee(self._hearing, self._stream.buffer)

    def write(self, text: str) -> int:
        if (log := self._hearing.log_of_this_thread()) is not None:
            log.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # of no stream is it ever set
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors


class _ByteTee(io.BufferedIOBase):
    """The same for those who print bytes."""

    def __init__(self, hearing: _Hearing, stream: BinaryIO) -> None:
        super().__init__()
        self._hearing, self._stream = hearing, stream
        self._decoders = WeakKeyDictionary[AttemptLog, codecs.IncrementalDecoder]()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if (log := self._hearing.log_of_this_thread()) is not None:
            decoder = self._decoders.setdefault(log, codecs.getincrementaldecoder("utf-8")("replace"))
            log.write(decoder.decode(bytes(data)))
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()
