"""The worker's side of one warm parent: starting it, asking it for a child, watching the attempt in that child."""

import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from runs_app.captured_output import LOG_INTERVAL, CutLog, LogTail
from runs_app.waiting_programs import WaitingPrograms
from zenweb.enums import StepProcess
from zenweb.execution import processes
from zenweb.execution.masking import Mask
from zenweb.execution.metadata import Noted
from zenweb.execution.protocol import (
    Answered,
    Assignment,
    Compiled,
    Completed,
    Event,
    Failed,
    GoesOn,
    Loading,
    MetadataNoted,
    Order,
    OutputSaved,
    Started,
    StepException,
    StoredArtifact,
    Waiting,
    WaitsForRun,
    parse_event,
    to_line,
)
from zenweb.execution.step_user import StepUser
from zenweb.execution.warm_parent import MAX_PACKET, Orders

logger = logging.getLogger(__name__)
IMPORT_LIMIT = timedelta(minutes=2)
PATIENCE = 0.2  # seconds until who waits for an import looks whether it is still wanted
READ_SIZE = 65_536
EVENT_LIMIT = 16 * 1024 * 1024
MOST_QUOTED = 1000  # characters of what cannot be read


@dataclass(frozen=True)
class ParentKey:
    """Attempts with the same key can be forked from the same parent."""

    code_root: Path
    module: str
    """What is imported. All pipelines of one file share it."""
    python: Path = Path(sys.executable)
    """The interpreter, of the pipeline's environment if it has one."""
    process: StepProcess = StepProcess.FORK
    imports_zenml: bool = False
    """It was frozen with ZenML's names for ZenWeb's modules."""


def local_today() -> date:
    return datetime.now(UTC).astimezone().date()


@dataclass(frozen=True)
class Bounds:
    """How much of warm parents a worker keeps."""

    number: int
    memory: int
    """Bytes, of all of them together."""
    idle: timedelta
    """An unused one ends after this."""
    age: timedelta
    """One this old is replaced before it is used again: what a module computed at import grows stale."""


@dataclass(frozen=True)
class Upbringing:
    """What every warm parent of a worker is started with."""

    lease: timedelta
    environment: Mapping[str, str]
    scratch: Path
    """Where attempts get folders of their own."""
    log: Path
    """What parents print while they import."""
    bounds: Bounds
    prove_code: Callable[[Path], None]
    """Makes sure that a folder holds the code it should, before a parent imports it."""
    today: Callable[[], date] = local_today
    user: StepUser | None = None
    """Whom they run as, if that is not the worker's own user."""

    @property
    def environment_of_user(self) -> Mapping[str, str]:
        # Whoever has signed in as the worker's user has done so for themselves, not for the steps of others.
        given = {**self.environment, "ZENWEB_CONFIG_DIR": str(self.scratch / "zenweb")}
        return given if self.user is None else self.user.environment(given, self.scratch / "home")

    def popen_options(self) -> dict[str, Any]:
        return {} if self.user is None else self.user.popen_options()


class ImportFailed(Exception):
    """The pipeline's module could not be imported; every attempt of its steps fails with this."""

    def __init__(self, exception: StepException) -> None:
        super().__init__(exception.message)
        self.exception = exception


@dataclass
class Lease:
    """Until when, by the monotonic clock, a worker surely holds the steps that it claimed."""

    until: float

    @property
    def is_held(self) -> bool:
        return time.monotonic() < self.until


class NotWanted(Exception):
    """Whoever waited for an import does so no longer."""


class ParentLost(Exception):
    """The warm parent is gone; another one can be started."""


@dataclass(frozen=True)
class ChildEnd:
    """All that is known of an attempt whose process, and everything below it, is gone."""

    outputs: dict[str, StoredArtifact]
    is_completed: bool
    exception: StepException | None
    exit_code: int | None
    was_stopped: bool
    timed_out: bool
    was_given_up: bool
    """Ended, or never started, because its worker might no longer hold the step."""
    was_lost: bool
    """Gone together with the process that it was forked from, which was killed."""
    was_silent: bool
    """Killed because it hung before the user's first line; no line of the step has run."""
    log: bytes
    was_shown_live: bool
    metadata: Noted
    """What it noted about its step; about its run:"""
    run_metadata: Noted
    started_at: datetime | None
    """When the user's first line ran."""
    ended: float
    """When that was, by the monotonic clock: whoever watched may have been kept waiting by the database."""
    options: list[tuple[Any, str]] | None = None
    """What may be chosen, if that was the question."""
    compiled: Compiled | None = None
    """What the pipeline consists of, if that was."""


class WarmParent:
    """A running warm parent process."""

    def __init__(self, key: ParentKey, upbringing: Upbringing) -> None:
        self.key = key
        self.started = self.used = time.monotonic()
        self.day = upbringing.today()
        self.attempts = 0
        self.obstacle: str | None = None
        """What its import left behind that stands against forking."""
        self.instead_of_forking = ""
        """Why it spawns although forking was asked for."""
        self.mark = f"ZENWEB_WARM_PARENT={uuid.uuid4().hex}"
        """In the environment of all that is started below it; found there if it is killed."""
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        orders = Orders(
            code_root=str(key.code_root),
            module=key.module,
            scratch=str(upbringing.scratch),
            lease=upbringing.lease.total_seconds(),
            spawns=key.process is StepProcess.SPAWN,
            is_confined=upbringing.user is not None,
            imports_zenml=key.imports_zenml,
        )
        with theirs, upbringing.log.open("ab") as log:
            self.process = subprocess.Popen(  # our own module, in our interpreter or an environment's
                [str(key.python), "-P", "-m", "zenweb.execution.warm_parent", orders.model_dump_json()],
                stdin=theirs.fileno(),
                stdout=log,
                stderr=log,
                env=_environment_for(key.python, upbringing.environment_of_user, self.mark),
                start_new_session=True,
                **upbringing.popen_options(),
            )

    def is_fresh(self, upbringing: Upbringing) -> bool:
        is_young = time.monotonic() - self.started < upbringing.bounds.age.total_seconds()
        return is_young and self.day == upbringing.today() and self.process.poll() is None

    @property
    def memory(self) -> int:
        """Bytes that would be free without it: its own, its share of what others use too, its spare child's."""
        # The youngest child waits; an older one is just ending.
        children = [] if self.attempts else sorted(processes.children_of(self.process.pid))
        return sum(map(processes.memory_of, [self.process.pid, *children[-1:]]))

    def wait_until_ready(self, is_wanted: Callable[[], bool]) -> None:
        """Raises ImportFailed with what the module's import raised, and NotWanted."""
        limit = IMPORT_LIMIT.total_seconds()
        deadline = time.monotonic() + limit
        self.control.settimeout(PATIENCE)
        while (packet := self._said_within_patience()) is None:
            if not is_wanted():
                raise NotWanted
            if time.monotonic() > deadline:
                sentence = f"Importing the pipeline's code took more than {limit:g} s."
                raise ImportFailed(_process_exception(sentence))
        self.control.settimeout(None)
        if not packet:
            code = self.process.wait()
            raise ImportFailed(
                _process_exception(f"The process that imports the pipeline's code {_how(code)}.")
            )
        told = json.loads(packet)
        if failed := told.get("failed"):
            raise ImportFailed(StepException.model_validate(failed))
        self.obstacle = told.get("obstacle")

    def _said_within_patience(self) -> bytes | None:
        try:
            return self.control.recv(MAX_PACKET * 4)
        except TimeoutError:
            return None

    def fork(self, attempt: uuid.UUID, order: Order, lease: Lease) -> "AttemptProcess":
        work, their_work = socket.socketpair()
        status, their_status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        log, their_log = os.pipe()
        packet = json.dumps({"op": "fork", "attempt": str(attempt), "until": lease.until}).encode()
        try:
            socket.send_fds(self.control, [packet], [their_work.fileno(), their_log, their_status.fileno()])
        except OSError as error:
            for opened in (work, status):
                opened.close()
            os.close(log)
            raise ParentLost from error
        finally:
            their_work.close()
            their_status.close()
            os.close(their_log)
        return AttemptProcess(self, str(attempt), order, work, log, status)

    def send(self, order: dict[str, object]) -> None:
        with suppress(OSError):
            self.control.send(json.dumps(order).encode())

    def end(self) -> None:
        """Have it end everything below it, then itself."""
        self.control.close()

    def kill(self) -> None:
        self.end()
        processes.send_to_all_below(self.process.pid, signal.SIGKILL)
        self.process.kill()


class AttemptProcess:
    """One attempt's process, as its worker sees it."""

    def __init__(
        self,
        parent: WarmParent,
        attempt: str,
        order: Order,
        work: socket.socket,
        log: int,
        status: socket.socket,
    ) -> None:
        self.parent = parent
        self.attempt = attempt
        self.was_stopped = False
        self.timed_out = False
        self.was_silent = False
        self._pid: int | None = None
        self._order = to_line(order)
        self._is_timed_whole = isinstance(order, Assignment)
        self._deadline: float | None = None
        self._work, self._log, self._status = work, log, status
        self._events: list[Event] = []
        self._noted: dict[str, Noted] = {"step": {}, "run": {}}
        self._has_news = False
        self._pending = b""
        self._is_over = False
        self._was_given_up = False
        self._started_at: datetime | None = None
        self._ended: float | None = None
        self._earliest = time.monotonic()
        """When what comes next may have happened at the earliest."""
        self._exit_code: int | None = None
        self._nonsense: StepException | None = None
        """Why nothing that it says counts any more."""

    def stop(self, grace: timedelta) -> None:
        """TERM now, KILL after the grace, descendants included."""
        self.was_stopped = True
        self.parent.send({"op": "stop", "attempt": self.attempt, "grace": grace.total_seconds()})

    def watch(
        self,
        *,
        on_log: Callable[[str], None],
        on_metadata: Callable[[Noted], None],
        on_waiting: Callable[[Waiting], None] = lambda _: None,
        programs: WaitingPrograms | None = None,
        on_look: Callable[[], None] = lambda: None,
        mask: Mask | None = None,
        log_limit: int,
        timeout: timedelta | None,
        grace: timedelta,
        silence: timedelta,
    ) -> ChildEnd:
        """Hand over what is to be done and wait for the end of the process, passing on what it prints, masked.

        A forked process that does nothing for the time of `silence` before the user's first line is killed. The time
        of a question counts from that line on, that of an attempt from its beginning.
        """
        vigil = Vigil(IMPORT_LIMIT if self.parent.key.process is StepProcess.SPAWN else silence)
        self._tail = tail = LogTail(on_log)
        self._printed = printed = CutLog(log_limit)
        self._mask = mask or Mask()
        self._on_waiting = on_waiting
        shown = time.monotonic()
        with selectors.DefaultSelector() as selector:
            self._begin()
            self._is_time_up(timeout)  # from here on it counts
            self._register(selector)
            if programs is not None:
                programs.register(selector, on_waiting)
            while not self._is_over:
                for key, _ in selector.select(LOG_INTERVAL):
                    key.data()
                on_look()
                tail.show(printed.beginning)
                if self._has_news and time.monotonic() - shown > LOG_INTERVAL:
                    on_metadata(self._noted["step"])
                    self._has_news, shown = False, time.monotonic()
                if not self.timed_out and self._is_time_up(timeout):
                    self.timed_out = True
                    self.stop(grace)
                if not self.was_silent and vigil.is_in_vain(self._events, self._pid):
                    self.was_silent = True
                    self.parent.send({"op": "stop", "attempt": self.attempt, "grace": 0.0})
            self._drain()
        self._close()
        return self._end()

    def _is_time_up(self, timeout: timedelta | None) -> bool:
        if timeout is None:
            return False
        if self._deadline is None and (self._is_timed_whole or self._started_at):
            self._deadline = time.monotonic() + timeout.total_seconds()
        return self._deadline is not None and time.monotonic() > self._deadline

    def _register(self, selector: selectors.BaseSelector) -> None:
        os.set_blocking(self._log, False)
        selector.register(self._work, selectors.EVENT_READ, lambda: self._read_events(selector))
        selector.register(self._log, selectors.EVENT_READ, lambda: self._read_log(selector))
        selector.register(self._status, selectors.EVENT_READ, self._read_status)

    def _begin(self) -> None:
        self._earliest = time.monotonic()
        self._work.settimeout(None)
        with suppress(OSError):
            self._work.sendall(self._order)
        self._work.setblocking(False)

    def _read_events(self, selector: selectors.BaseSelector | None) -> bool:
        """Take in what is there; False when there is no more."""
        try:
            received = self._work.recv(READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            received = b""
        if not received:
            if selector is not None:
                selector.unregister(self._work)
            return False
        if self._nonsense is None:
            self._understand(received)
        return True

    def _understand(self, received: bytes) -> None:
        """User code may write anything into its socket: then its process is ended, and the attempt has failed."""
        *lines, self._pending = (self._pending + received).split(b"\n")
        try:
            if len(self._pending) > EVENT_LIMIT:
                raise ValueError("an event over the size limit")
            for line in lines:
                self._take_in(parse_event(line))
        except (ValueError, RecursionError) as error:
            why = self._mask.text(str(error))[:MOST_QUOTED]  # it quotes what was sent
            logger.warning("Attempt %s is ended: its process sent what cannot be read: %s", self.attempt, why)
            self._nonsense = _process_exception(
                "The step's process sent its worker what cannot be read, and was ended."
            )
            self.parent.send({"op": "stop", "attempt": self.attempt, "grace": 0.0})

    def _take_in(self, event: Event | None) -> None:
        if isinstance(event, MetadataNoted):  # joined at once: a loop may note something in every round
            self._noted[event.about].update(event.values)
            self._has_news = self._has_news or event.about == "step"
        elif isinstance(event, WaitsForRun | GoesOn):
            self._on_waiting(event)
        elif event is not None:
            self._events.append(event)
            if isinstance(event, Started) and self._started_at is None:
                self._earliest = moment = self._moment(event.at)
                self._started_at = datetime.now(UTC) - timedelta(seconds=time.monotonic() - moment)
            # Not waiting for the end of a process in which nothing happens any more saves every step milliseconds.
            if isinstance(event, Completed) and event.is_alone:
                self._is_over, self._ended = True, self._ended or self._moment(event.at)

    def _moment(self, told: float | None) -> float:
        """When that was, by the monotonic clock: as told, if it can be so.

        Older SDKs do not say, and user code may write anything into its socket.
        """
        now = time.monotonic()
        return told if told is not None and self._earliest <= told <= now else now

    def _read_log(self, selector: selectors.BaseSelector | None) -> bool:
        try:
            received = os.read(self._log, READ_SIZE)
        except BlockingIOError:
            return False
        if not received:
            if selector is not None:
                selector.unregister(self._log)
            return False
        self._printed.add(self._mask.feed(received))
        return True

    def _read_status(self) -> None:
        packet = self._status.recv(MAX_PACKET)
        fields = json.loads(packet) if packet else {}
        self._pid = fields.get("pid", self._pid)
        if "exited" in fields:
            self._exit_code, self._ended = fields["exited"], self._ended or self._moment(fields.get("at"))
        self._was_given_up = "given_up" in fields
        if not packet or "exited" in fields or self._was_given_up:
            self._is_over = True

    def _drain(self) -> None:
        while self._read_events(None):
            pass
        while self._read_log(None):
            pass
        self._printed.add(self._mask.rest())

    def _close(self) -> None:
        self._work.close()
        self._status.close()
        os.close(self._log)

    def _end(self) -> ChildEnd:
        said = next((event.exception for event in self._events if isinstance(event, Failed)), None)
        failed = self._nonsense or said
        is_completed = failed is None and any(isinstance(event, Completed) for event in self._events)
        was_lost = not is_completed and failed is None and self._is_lost()
        if not self._was_seen_to_end:
            # Nobody else ends it: what it started had the lost one to look after it.
            self._end_left_over()
        was_silent = self.was_silent and not self._events
        if not is_completed and failed is None and was_silent:
            limit = int(IMPORT_LIMIT.total_seconds())
            failed = _process_exception(f"Importing the pipeline's code took more than {limit} s.")
        if not is_completed and failed is None:
            failed = _process_exception(f"The step's process {_how(self._exit_code)}.")
        return ChildEnd(
            outputs={event.name: event.artifact for event in self._events if isinstance(event, OutputSaved)},
            is_completed=is_completed,
            exception=failed,
            exit_code=self._exit_code,
            was_stopped=self.was_stopped and not self.timed_out,
            timed_out=self.timed_out,
            was_given_up=self._was_given_up and not is_completed,
            was_lost=was_lost,
            was_silent=self.was_silent and self._started_at is None and not self.was_stopped,
            log=self._printed.whole(),
            metadata=self._noted["step"],
            run_metadata=self._noted["run"],
            was_shown_live=self._tail.has_shown,
            started_at=self._started_at,
            ended=self._ended or time.monotonic(),
            options=next((event.options for event in self._events if isinstance(event, Answered)), None),
            compiled=next((event for event in self._events if isinstance(event, Compiled)), None),
        )

    @property
    def _was_seen_to_end(self) -> bool:
        """By its parent, together with all that it started; or it said that nothing was left to see."""
        return self._exit_code is not None or self._was_given_up or self._ended is not None

    def _end_left_over(self) -> None:
        if alive := processes.end_left_over(self.parent.mark, self._pid):
            logger.error(
                "Attempt %s is over, but processes that it started cannot be ended: %s", self.attempt, alive
            )

    def _is_lost(self) -> bool:
        was_ended_here = self._was_given_up or self.was_stopped or self.was_silent
        return self._exit_code is None and not was_ended_here


class Vigil:
    """Tells a process that hangs from one that is slow, until the user's first line runs."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience.total_seconds()
        self._since = time.monotonic()
        self._is_over = False
        self._worked = 0.0

    def is_in_vain(self, events: Sequence[Event], pid: int | None) -> bool:
        """Whether nothing was heard for too long. A process that loads its inputs may take its time, if it works."""
        if self._is_over:
            return False
        if events and not isinstance(events[-1], Loading):
            self._is_over = True
            return False
        if events and (worked := processes.seconds_worked(pid)) != self._worked:
            self._worked, self._since = worked, time.monotonic()
        return time.monotonic() - self._since > self._patience


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return "was lost together with the process it was forked from"
    if exit_code < 0:
        name = signal.Signals(-exit_code).name if -exit_code in signal.valid_signals() else "unknown"
        return f"died with signal {-exit_code} ({name})"
    return f"exited with code {exit_code} before the step had ended"


def _process_exception(message: str) -> StepException:
    return StepException(type="ProcessDied", message=message, traceback="")


def _environment_for(python: Path, given: Mapping[str, str], mark: str) -> dict[str, str]:
    """What user code sees of the environment; the programs of its virtual environment, or the worker's, come first."""
    name, _, value = mark.partition("=")
    marked = {**given, name: value}
    if python == Path(sys.executable) and sys.prefix == sys.base_prefix:
        return marked
    path = os.pathsep.join(filter(None, [str(python.parent), given.get("PATH", "")]))
    return {**marked, "PATH": path, "VIRTUAL_ENV": str(python.parent.parent)}
