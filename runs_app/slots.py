"""How many steps a worker runs at once. A step that waits for a run lends its slot to what it waits for."""

import threading
from collections import Counter
from typing import Protocol
from uuid import UUID

from zenweb.execution.protocol import Waiting, WaitsForRun

MOST_AWAITED = 1000  # runs, of one step


class Slots:
    """A worker's, counted. All methods return at once."""

    def __init__(self, number: int) -> None:
        self._lock = threading.Lock()
        self._free = number
        self._lent = 0

    def take(self) -> bool:
        """False where none is free."""
        with self._lock:
            if self._free <= 0:
                return False
            self._free -= 1
            return True

    def give_back(self) -> None:
        with self._lock:
            self._free += 1

    def lend(self) -> None:
        """Whoever has taken one needs it no more for a while."""
        with self._lock:
            self._free += 1
            self._lent += 1

    def take_again(self) -> None:
        """Whoever has lent it goes on, and has it again at once.

        So one more may run than there are slots, until one of those has ended that took it meanwhile: `is_overdrawn`
        keeps that one from going on with a next step. To wait for it might take hours, for the last lines of a step.
        """
        with self._lock:
            self._free -= 1
            self._lent -= 1

    @property
    def free(self) -> int:
        return max(0, self._free)

    @property
    def lent(self) -> int:
        return self._lent

    @property
    def is_overdrawn(self) -> bool:
        return self._free < 0


class Note(Protocol):
    def __call__(self, event: Waiting, *, is_over: bool) -> None: ...


class Waits:
    """What one attempt waits for, as its process tells: it may do so in several threads, and may not tell the end."""

    def __init__(self, slots: Slots, note: Note) -> None:
        self._slots = slots
        self._note = note
        self._awaited = Counter[UUID]()

    def hear(self, event: Waiting) -> None:
        """Lend the slot, or take it again; then have it noted, unless it is known."""
        run_id, was_waiting = event.run_id, bool(self._awaited)
        if isinstance(event, WaitsForRun):
            if len(self._awaited) >= MOST_AWAITED:
                return
            self._awaited[run_id] += 1
            is_news = self._awaited[run_id] == 1
        else:
            self._awaited[run_id] -= 1
            is_news = self._awaited[run_id] == 0
            self._awaited = +self._awaited
        if not was_waiting and self._awaited:
            self._slots.lend()
        elif was_waiting and not self._awaited:
            self._slots.take_again()
        if is_news:
            self._note(event, is_over=not self._awaited)

    def end(self) -> None:
        """Its process is gone."""
        if self._awaited:
            self._awaited.clear()
            self._slots.take_again()
