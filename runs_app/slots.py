"""How many steps a worker runs at once. A step that waits for a run lends its slot to what it waits for."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from zenweb.execution.protocol import GoesOn, Waiting, WaitsForRun

MOST_AWAITED = 1000  # runs, of one step
TOLD_AGAIN = 1.0  # seconds after which what could not be noted is noted again


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
    def __call__(self, event: Waiting, *, is_over: bool) -> bool | None:
        """Whether that run is one to wait for; None while the database does not answer."""


class Waits:
    """What one attempt waits for, as its process tells: it may do so in several threads, and may not tell the end.

    Its slot is lent while it is noted that it waits. What could not be noted is noted again, until it is.
    """

    def __init__(self, slots: Slots, note: Note, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = slots
        self._note = note
        self._clock = clock
        self._awaited = Counter[UUID]()
        # What the database knows. None: it did not answer, and may know it or not.
        self._noted: dict[UUID, bool | None] = {}
        self._refused = set[UUID]()
        self._has_lent = False
        self._again_at = 0.0

    def hear(self, event: Waiting) -> None:
        """Have it noted, unless it is known; and lend the slot, or take it again."""
        run_id = event.run_id
        if isinstance(event, WaitsForRun):
            if len(self._awaited) >= MOST_AWAITED:
                return
            self._awaited[run_id] += 1
        else:
            self._awaited[run_id] -= 1
            self._awaited = +self._awaited
        self._refused.intersection_update(self._awaited)
        self._settle()

    def tell_again(self) -> None:
        """What could not be noted; to be called now and then."""
        if self._unsettled() and self._clock() >= self._again_at:
            self._settle()

    def end(self) -> None:
        """Its process is gone."""
        self._awaited.clear()
        self._lend_or_take()

    def _unsettled(self) -> list[UUID]:
        wanted = self._awaited.keys() - self._refused
        return [
            run_id
            for run_id in {*wanted, *self._noted}
            if self._noted.get(run_id, False) is not (run_id in wanted)
        ]

    def _settle(self) -> None:
        self._lend_or_take()  # who goes on has its slot at once, noted or not
        for run_id in self._unsettled():
            if run_id not in self._awaited:
                is_known = self._note(GoesOn(run_id=run_id), is_over=not self._is_waiting) is not None
                self._keep(run_id, None if not is_known else False)
            else:
                answer = self._note(WaitsForRun(run_id=run_id), is_over=False)
                self._keep(run_id, answer)
                if answer is False:
                    self._refused.add(run_id)
        self._lend_or_take()

    def _keep(self, run_id: UUID, noted: bool | None) -> None:
        if noted is False:
            self._noted.pop(run_id, None)
        else:
            self._noted[run_id] = noted
        if noted is None:
            self._again_at = self._clock() + TOLD_AGAIN

    @property
    def _is_waiting(self) -> bool:
        return any(self._noted.get(run_id) for run_id in self._awaited)

    def _lend_or_take(self) -> None:
        if self._is_waiting == self._has_lent:
            return
        self._has_lent = not self._has_lent
        if self._has_lent:
            self._slots.lend()
        else:
            self._slots.take_again()
