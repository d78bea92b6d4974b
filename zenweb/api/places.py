"""Answers that go on for long, such as a log that is followed: a process has places for so many of them at once."""

import threading
from collections.abc import Iterable, Iterator

from zenweb.exceptions import ServerBusy


class Places:
    """Each long answer holds a thread of the web server, so there are fewer places than threads."""

    def __init__(self, most: int, busy: str) -> None:
        """`busy`: the sentence for who finds none."""
        self.most, self._busy = most, busy
        self.taken = 0
        self._lock = threading.Lock()

    def seat(self, pieces: Iterable[bytes]) -> "Seated":
        """The pieces of an answer, with a place until that is closed. Raises ServerBusy where all are taken."""
        with self._lock:
            has_place = self.taken < self.most
            self.taken += has_place
        if not has_place:
            _close(pieces)
            raise ServerBusy(self._busy)
        return Seated(self, iter(pieces))

    def leave(self) -> None:
        with self._lock:
            self.taken -= 1


class Seated:
    """What a server reads an answer from. It closes it in the end, also when whoever asked is gone."""

    def __init__(self, places: Places, pieces: Iterator[bytes]) -> None:
        self._places, self._pieces = places, pieces
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Also of a generator that was never begun: `finally` in it would not come about."""
        if self._is_closed:
            return
        self._is_closed = True
        self._places.leave()
        _close(self._pieces)


def _close(pieces: Iterable[bytes]) -> None:
    if close := getattr(pieces, "close", None):
        close()
