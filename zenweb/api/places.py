"""Answers that go on for long, such as a log that is followed: a process has places for so many of them at once."""

import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction

from django.conf import settings

from zenweb.exceptions import ServerBusy

# Each long answer holds a thread of the web server. All of these together leave others a quarter of its threads.
WAITING_FOR_RUNS = Fraction(2, 5)
FOLLOWING_LOGS = Fraction(1, 5)
DOWNLOADING = Fraction(1, 10)
EXPORTING = Fraction(1, 40)
PATIENCE = 60  # seconds before it is asked how fast somebody reads
SLOWEST = 32 * 1024  # bytes a second


class Places:
    """Of one process: a share of its threads, of which one account has no more than a part."""

    def __init__(
        self, share: Fraction, busy: str, *, of_one: Fraction = Fraction(1, 2), slowest: int = 0
    ) -> None:
        """`busy`: the sentence for who finds none. `slowest`: who reads fewer bytes a second loses the place."""
        self._share, self._busy, self._of_one = share, busy, of_one
        self.slowest = slowest
        self._taken = Counter[object]()
        self._lock = threading.Lock()

    @property
    def most(self) -> int:
        return max(1, int(settings.WEB_THREADS * self._share))

    @property
    def most_of_one(self) -> int:
        return math.ceil(self.most * self._of_one)

    @property
    def taken(self) -> int:
        return self._taken.total()

    @contextmanager
    def taken_by(self, who: object) -> Iterator["Place"]:
        """A place until the end of the block, or of the answer that is seated there. Raises ServerBusy.

        `who`: the account's primary key.
        """
        with self._lock:
            if self.taken >= self.most or self._taken[who] >= self.most_of_one:
                raise ServerBusy(self._busy)
            self._taken[who] += 1
        place = Place(self, who)
        try:
            yield place
        except BaseException:
            place.leave()
            raise
        if not place.is_seated:
            place.leave()

    def seat(self, pieces: Iterable[bytes], who: object) -> "Seated":
        """The pieces of an answer, with a place until that is closed. Raises ServerBusy where all are taken."""
        try:
            with self.taken_by(who) as place:
                return place.seat(pieces)
        except ServerBusy:
            _close(pieces)
            raise

    def leave(self, who: object) -> None:
        with self._lock:
            self._taken[who] -= 1
            if not self._taken[who]:
                del self._taken[who]


class Place:
    """One that is taken."""

    def __init__(self, places: Places, who: object) -> None:
        self._places, self._who = places, who
        self._is_left = self.is_seated = False

    def seat(self, pieces: Iterable[bytes]) -> "Seated":
        self.is_seated = True
        return Seated(self, iter(pieces), self._places.slowest)

    def leave(self) -> None:
        if not self._is_left:
            self._is_left = True
            self._places.leave(self._who)


class Seated:
    """What a server reads an answer from. It closes it in the end, also when whoever asked is gone."""

    def __init__(self, place: Place, pieces: Iterator[bytes], slowest: int) -> None:
        self._place, self._pieces, self._slowest = place, pieces, slowest
        self._given, self._waited = 0, 0.0
        self._given_at: float | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            self._check_pace()
            piece = next(self._pieces)
        except BaseException:  # broken off, or at its end: nothing more comes, whether it is closed or not
            self.close()
            raise
        self._given += len(piece)
        self._given_at = time.monotonic()
        return piece

    def _check_pace(self) -> None:
        """Only the time counts in which the reader had something to read, not that in which it was made."""
        if self._given_at is not None:
            self._waited += time.monotonic() - self._given_at
        if self._waited > PATIENCE and self._given < self._slowest * self._waited:
            raise ServerBusy(
                "This was read too slowly, and others wait for its place. Ask again for the rest."
            )

    def close(self) -> None:
        """Also of a generator that was never begun: `finally` in it would not come about."""
        self._place.leave()
        _close(self._pieces)


def _close(pieces: Iterable[bytes]) -> None:
    if close := getattr(pieces, "close", None):
        close()
