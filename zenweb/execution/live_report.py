"""Tells the server about a run in this process while it goes on: that it lives, and what the running step prints."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from uuid import UUID

from zenweb.exceptions import ZenWebError
from zenweb.execution.attempt_log import AttemptLog

logger = logging.getLogger(__name__)

LOOK = 0.25  # seconds between two looks at whether there is something to tell
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between two pieces of a log …
PIECES = 200  # … the longer the step takes: it grows from about this number of them on
LEASE_INTERVAL = 2.0  # seconds; the server gives a caller up after several of these


class Listener(Protocol):
    """The part of the client that is told while a run goes on. Both answer whether the run goes on."""

    def renew_lease(self, run_id: UUID) -> bool: ...
    def report_progress(self, run_id: UUID, step_name: str, progress: dict[str, Any]) -> bool: ...


class LiveReport:
    """A thread that tells. What it cannot tell now it tells later; the step waits for nothing of it."""

    def __init__(self, listener: Listener, run_id: UUID) -> None:
        self._listener, self._run_id = listener, run_id
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._attempt: LiveAttempt | None = None
        self.thread = threading.Thread(target=self._tell, name="zenweb-report", daemon=True)
        self._runs_in_main_thread = threading.current_thread() is threading.main_thread()
        self.is_to_stop = False
        """Whether somebody asked the run to stop, or the server has given it up."""

    def __enter__(self) -> "LiveReport":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    @contextmanager
    def telling(self, step_name: str, number: int, log: AttemptLog) -> Iterator["LiveAttempt"]:
        """While it lasts, the attempt's log and metadata are told, and a stop interrupts it."""
        attempt = LiveAttempt(step_name, number, log)
        with self._lock:
            self._attempt = attempt
        try:
            yield attempt
        finally:
            with self._lock:  # a piece that is under way is waited for: the end of the attempt comes after it
                self._attempt = None

    def _tell(self) -> None:
        beat_at = time.monotonic() + LEASE_INTERVAL
        while not self._over.wait(LOOK):
            try:
                with self._lock:
                    goes_on = self._attempt.tell(self._progress) if self._attempt else None
                if goes_on is None and time.monotonic() >= beat_at:
                    goes_on = self._listener.renew_lease(self._run_id)
            except ZenWebError as error:  # it may be back for the next one
                logger.debug("Run %s could not be reported on: %s", self._run_id, error)
                goes_on = True
            except Exception:  # without this thread nobody renews the lease, and the run would be given up
                logger.warning("Run %s could not be reported on.", self._run_id, exc_info=True)
                goes_on = True
            if goes_on is not None:
                beat_at = time.monotonic() + LEASE_INTERVAL
            if goes_on is False and not self.is_to_stop:
                self._stop()

    def _progress(self, step_name: str, progress: dict[str, Any]) -> bool:
        return self._listener.report_progress(self._run_id, step_name, progress)

    def _stop(self) -> None:
        self.is_to_stop = True
        with self._lock:
            if self._attempt is not None and self._runs_in_main_thread:
                interrupt_main_thread()


class LiveAttempt:
    """The attempt that runs now, as far as it has been told."""

    def __init__(self, step_name: str, number: int, log: AttemptLog) -> None:
        self._step_name, self._number, self._log = step_name, number, log
        self._began = self._told = time.monotonic()
        self._news: dict[str, Any] | None = None

    def note(self, metadata: dict[str, Any]) -> None:
        """All that the step has noted about itself so far."""
        self._news = metadata

    def tell(self, report: Callable[[str, dict[str, Any]], bool]) -> bool | None:
        """The report's answer; None when there was nothing to tell, or when it is too soon."""
        now = time.monotonic()
        pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, (now - self._began) / PIECES))
        if now - self._told < pause:
            return None
        piece, news = self._log.piece(), self._news
        if not piece.text and news is None:
            return None
        self._told = now
        progress = {"attempt": self._number, "piece": piece.number, "log": piece.text, "step_metadata": news}
        goes_on = report(self._step_name, progress)
        self._log.told(piece)
        if self._news is news:
            self._news = None
        return goes_on


def interrupt_main_thread() -> None:
    """As Ctrl-C does: also where the main thread waits in a system call."""
    if os.name == "posix":
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)
