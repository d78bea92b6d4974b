"""Waiting until runs end: however many requests wait, one thread of the process looks for all of them."""

import logging
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction

from django.db import close_old_connections, connections

from runs_app.models import PipelineRun
from zenweb.api.places import WAITING_FOR_RUNS, Places
from zenweb.exceptions import ServerBusy

logger = logging.getLogger(__name__)
INTERVAL = 0.1  # seconds
LONGEST = 600.0  # seconds: proxies and clients give up as well
FAIR_SHARE = 10.0  # seconds that somebody may wait before another of the same account may have the place
HANDING_OVER = 1.0  # seconds that this may take
# Of one account more than of other places: a pipeline of a CI system may start many runs.
WAITING = Places(WAITING_FOR_RUNS, "Too many wait here at once. Ask again later.", of_one=Fraction(7, 8))


class Lookout:
    """Looks while somebody waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = defaultdict[uuid.UUID, list[threading.Event]](list)
        self._is_looked_for = False

    def wait(self, run_id: uuid.UUID, seconds: float, ended: threading.Event | None = None) -> None:
        """Return when the run has ended or the time is over, or somebody else has set the event."""
        ended = ended or threading.Event()
        with self._lock:
            self._waiting[run_id].append(ended)
            if not self._is_looked_for:
                self._is_looked_for = True
                threading.Thread(target=self._look, name="lookout", daemon=True).start()
        close_old_connections()  # a pooled one is of use to others meanwhile
        try:
            ended.wait(seconds)
        finally:
            self._leave(run_id, ended)

    def _leave(self, run_id: uuid.UUID, ended: threading.Event) -> None:
        with self._lock:
            self._waiting[run_id].remove(ended)
            if not self._waiting[run_id]:
                del self._waiting[run_id]

    def _look(self) -> None:
        while awaited := self._awaited():
            try:
                for run_id in _ended_of(awaited):
                    self._tell(run_id)
            except Exception:  # nobody would look any more; who waits for a run waits on
                logger.exception("Looking for the ends of runs failed.")
                connections.close_all()
            time.sleep(INTERVAL)
        connections.close_all()

    def _awaited(self) -> list[uuid.UUID]:
        with self._lock:
            self._is_looked_for = bool(self._waiting)
            return list(self._waiting)

    def _tell(self, run_id: uuid.UUID) -> None:
        with self._lock:
            for ended in self._waiting.get(run_id, ()):
                ended.set()


def _ended_of(run_ids: list[uuid.UUID]) -> list[uuid.UUID]:
    """Those that were removed have ended too."""
    going_on = set(PipelineRun.objects.unfinished().filter(pk__in=run_ids).values_list("pk", flat=True))
    close_old_connections()
    return [run_id for run_id in run_ids if run_id not in going_on]


@dataclass(eq=False)
class Turn:
    """Somebody's wait."""

    since: float = field(default_factory=time.monotonic)
    ended: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    """Set when its place is free again."""


class Turns:
    """Who waits, by account, in the order in which they came.

    A server with threads does not see that a caller is gone. So that these keep nobody from waiting, whoever of an
    account has waited longest makes room: who is still there is answered with the run as it stands, and asks again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns = defaultdict[object, list[Turn]](list)

    @contextmanager
    def taken_by(self, who: object) -> Iterator[Turn]:
        """Raises ServerBusy where no place is free, and none that was had for long enough."""
        turn = Turn()
        with ExitStack() as stack:
            stack.callback(turn.left.set)
            try:
                stack.enter_context(WAITING.taken_by(who))
            except ServerBusy:
                if not self._make_room(who):
                    raise
                stack.enter_context(WAITING.taken_by(who))
            with self._lock:
                self._turns[who].append(turn)
            stack.callback(self._forget, who, turn)
            yield turn

    def _make_room(self, who: object) -> bool:
        with self._lock:
            others = (turn for turn in self._turns.get(who, ()) if not turn.ended.is_set())
            oldest = next(others, None)
            if oldest is None or time.monotonic() - oldest.since < FAIR_SHARE:
                return False
            oldest.ended.set()
        return oldest.left.wait(HANDING_OVER)

    def _forget(self, who: object, turn: Turn) -> None:
        with self._lock:
            self._turns[who].remove(turn)
            if not self._turns[who]:
                del self._turns[who]


_lookout = Lookout()
_turns = Turns()


def wait_for_end(run_id: uuid.UUID, seconds: float, who: object) -> None:
    """Return when the run has ended, or after so many seconds; sooner where too many wait.

    Not inside of a transaction. `who`: the account's primary key.
    """
    with suppress(ServerBusy), _turns.taken_by(who) as turn:
        _lookout.wait(run_id, seconds, turn.ended)
