"""What the steps of a run print, as whole lines under their names: several may print at the same time."""

from collections.abc import Iterator
from dataclasses import replace

from zenweb.responses import LogPiece


class LogLines:
    """Puts pieces together to lines."""

    def __init__(self) -> None:
        self._begun: dict[str, LogPiece] = {}  # of each step, the line that has not ended yet

    def of(self, piece: LogPiece) -> Iterator[str]:
        """The lines that have ended with this piece."""
        before = self._begun.get(piece.step)
        if before and piece.attempt != before.attempt:
            yield from _end(before)
            yield f"{piece.step} | --- attempt {piece.attempt}"
            before = None
        *lines, rest = ((before.text if before else "") + piece.text).split("\n")
        for line in lines:
            yield f"{piece.step} | {line}"
        self._begun[piece.step] = replace(piece, text=rest)

    def rest(self) -> Iterator[str]:
        """Those that never ended."""
        for piece in self._begun.values():
            yield from _end(piece)
        self._begun.clear()


def _end(piece: LogPiece) -> Iterator[str]:
    if piece.text:
        yield f"{piece.step} | {piece.text}"
