"""What an attempt in this process prints: kept for the report, bounded, and handed out piece by piece."""

import io
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import TextIO

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


@contextmanager
def printing_also_into(log: AttemptLog) -> Iterator[None]:
    """While it lasts, what is printed in this process goes into the log, too."""
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(_Tee(log, sys.stdout)))
        stack.enter_context(redirect_stderr(_Tee(log, sys.stderr)))
        yield


class _Tee(io.StringIO):
    """Keeps what is printed, and prints it."""

    def __init__(self, log: AttemptLog, stream: TextIO) -> None:
        super().__init__()
        self._log, self._stream = log, stream

    def write(self, text: str) -> int:
        self._log.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()
