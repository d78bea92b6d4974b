"""A process that has imported a pipeline's module and forks one child for each attempt of its steps.

Started by a worker as `python -m zenweb.execution.warm_parent`, with one end of a SOCK_SEQPACKET socket as its
standard input. The worker's packets:

    {"op": "fork", "attempt": id, "until": moment}    with three descriptors: work socket, log pipe, status socket
    {"op": "stop", "attempt": id, "grace": seconds}
    {"op": "ping", "until": moment}

The first packet back says whether the import went well, and whether it left behind what stands against forking; then
the worker ends this process, and starts one that `spawns`: it imports nothing, and each of its children starts an
interpreter that does. On an attempt's status socket follow its `pid` and, once it
and everything below it is gone, how it `exited` and `at` which moment. The parent ends all it started when the worker's
socket closes or the moment (of the monotonic clock, which both share) has passed until which the worker surely holds
its steps, so that nobody else can start a step while an attempt at it still lives. An attempt that was ended so, or
that was asked for after its worker's moment, is `given_up`.
"""

import gc
import io
import json
import os
import random
import selectors
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from select import select
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from zenweb import connection
from zenweb.artifacts import materializers
from zenweb.config import zenml_alias
from zenweb.config.source import import_named, import_source, importing_for_execution
from zenweb.execution import fork_obstacles, processes
from zenweb.execution.choosing import answer_question
from zenweb.execution.compiling import compile_pipeline_again
from zenweb.execution.homes import AttemptHome, make_home
from zenweb.execution.protocol import (
    Assignment,
    Compilation,
    Completed,
    Event,
    Failed,
    Order,
    Question,
    Started,
    parse_order,
    to_line,
)
from zenweb.execution.rehearsal import Script, write_script
from zenweb.execution.runner import describe, prepare_steps, run_attempt
from zenweb.pipelines import Pipeline
from zenweb.steps import Step

MAX_PACKET = 65_536
SPARE_DELAY = 0.005  # seconds
EXIT_LIMIT = 5.0  # seconds
MOST_HOMES = 8  # that are kept for attempts to come
# OpenMP threads started by an import do not survive a fork and hang the child: keep the libraries from starting any
# until the child has what the user asked for again.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Orders(BaseModel):
    """What the worker starts this process with."""

    code_root: str
    module: str
    scratch: str
    """Where each attempt gets a folder for temporary files, removed with it."""
    lease: float
    """Seconds after the import within which the worker has to say until when it holds its steps."""
    spawns: bool = False
    """Each attempt gets an interpreter of its own."""
    is_confined: bool = False
    """It runs as another user than its worker, and stays so."""
    imports_zenml: bool = False
    """The code says `zenml` and means ZenWeb."""


@dataclass
class Spare:
    """A child that waits for an attempt in the folder that it will work in."""

    pid: int
    orders: socket.socket
    home: AttemptHome | None


@dataclass
class Child:
    attempt: str
    pid: int
    status: socket.socket
    home: AttemptHome | None
    kill_at: float | None = None


def main() -> None:
    orders = Orders.model_validate_json(sys.argv[1])
    control = socket.socket(fileno=os.dup(0))
    _stdin_from_nothing()
    # Its worker starts it from a thread that lasts as long as the worker.
    processes.die_with_parent()
    processes.adopt_orphans()
    if orders.is_confined:
        processes.gain_no_privileges()
    home = Path(orders.scratch, uuid4().hex)
    try:
        make_home(home, orders.code_root)
        obstacle, script = (None, None) if orders.spawns else _import_to_fork(orders)
    except BaseException as error:  # noqa: BLE001  # told to the worker
        _send(control, {"failed": describe(error).model_dump()})
    else:
        # From here on it sees for itself when its worker dies, and must then live on to end what its attempts started.
        processes.outlive_parent()
        _send(control, {"ready": os.getpid(), "obstacle": obstacle})
        WarmParent(control, orders, script).serve()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def import_module(orders: Orders) -> None:
    if orders.imports_zenml:
        zenml_alias.activate()
    with importing_for_execution():
        import_named(orders.module)


def _import_to_fork(orders: Orders) -> tuple[str | None, Script | None]:
    """Import the module; what stands against forking afterwards, and what children rehearse."""
    sys.path.insert(0, orders.code_root)
    environment = os.environ  # noqa: TID251  # to change it for what is imported, not to be configured by it
    given = {name: environment.get(name) for name in THREAD_VARIABLES}
    environment.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    sockets = fork_obstacles.open_sockets()
    import_module(orders)
    materializers.preload()
    prepare_steps(orders.code_root)
    script = write_script(Path(orders.scratch, uuid4().hex))
    for name, value in given.items():
        environment.pop(name, None) if value is None else environment.update({name: value})
    gc.collect()
    obstacle = fork_obstacles.obstacle_to_forking(sockets)
    gc.freeze()  # a child's collector must not touch, and so copy, the pages it shares with this process
    return obstacle, script


class WarmParent:
    """Forks, watches and buries. One thread, one selector, nothing blocking."""

    def __init__(self, control: socket.socket, orders: Orders, script: Script | None) -> None:
        self.control = control
        self.orders = orders
        self.scratch = Path(orders.scratch)
        self.until = time.monotonic() + orders.lease
        self.children: dict[int, Child] = {}
        self.spare: Spare | None = None
        self.homes: list[AttemptHome] = []
        self.script = script
        self.selector = selectors.DefaultSelector()
        self.wakeup_read, wakeup_write = os.pipe()
        os.set_blocking(self.wakeup_read, False)
        os.set_blocking(wakeup_write, False)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # Ctrl-C in a terminal reaches the whole group; the worker decides
        self.selector.register(control, selectors.EVENT_READ)
        self.selector.register(self.wakeup_read, selectors.EVENT_READ)

    def serve(self) -> None:
        """Until nobody wants it any more; whatever happens, it leaves nothing behind."""
        try:
            self._serve()
        finally:
            self._end_everything()

    def _serve(self) -> None:
        self.spare = self._make_spare()
        while self._is_wanted():
            events = self.selector.select(self._patience())
            for key, _ in events:
                if key.fileobj is self.control:
                    if not self._obey():
                        return
                else:
                    with suppress(BlockingIOError):
                        os.read(self.wakeup_read, 4096)
            has_buried = self._bury()
            # Not right after a fork: a short step would have to wait for this before its end is told.
            if self.spare is None and (has_buried or not events):
                self.spare = self._make_spare()
            self._kill_the_stubborn()

    def _is_wanted(self) -> bool:
        return time.monotonic() < self.until

    def _patience(self) -> float:
        now = time.monotonic()
        deadlines = [child.kill_at for child in self.children.values() if child.kill_at is not None]
        if self.spare is None:
            deadlines.append(now + SPARE_DELAY)
        return max(0.0, min([self.until, *deadlines]) - now)

    def _obey(self) -> bool:
        """Do what one packet says; False when the worker is gone."""
        packet, descriptors, _, _ = socket.recv_fds(self.control, MAX_PACKET, 3)
        if not packet:
            return False
        order = json.loads(packet)
        if order["op"] == "stop":
            self._stop(order["attempt"], order["grace"])
            return True
        if order["op"] == "fork" and order["until"] > time.monotonic():
            self._fork(order["attempt"], *descriptors)
        elif order["op"] == "fork":
            self._refuse(*descriptors)
        self.until = max(self.until, order["until"])
        return True

    def _fork(self, attempt: str, work: int, log: int, status: int) -> None:
        """Give the attempt to the child that waits for one, or to a new one."""
        spare = self._hand_over(work, log)
        os.close(work)
        os.close(log)
        child = Child(attempt, spare.pid, socket.socket(fileno=status), spare.home)
        self.children[spare.pid] = child
        _send(child.status, {"pid": spare.pid})

    def _hand_over(self, work: int, log: int) -> "Spare":
        """The child that has the attempt now; a new one where the one that waited has no folder, or died."""
        spare, self.spare = self.spare, None
        if spare is not None:
            # Without a folder it is told nothing, and ends: what kept it from having one may be over.
            if spare.home is not None and _tell(spare, work, log):
                return spare
            spare.orders.close()
            self._leave(spare.home)
        spare = self._make_spare()
        _tell(spare, work, log)  # dead or alive: how it ended will be told
        return spare

    def _refuse(self, work: int, log: int, status: int) -> None:
        """The worker was paused between its claim and this order, and others may have the step by now."""
        os.close(work)
        os.close(log)
        with socket.socket(fileno=status) as opened:
            _send(opened, {"given_up": True})

    def _make_spare(self) -> "Spare":
        """A child that is all set to run an attempt: forking costs milliseconds that no step should wait for."""
        home, obstacle = self._find_home()
        orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            orders.close()
            self._become_child(theirs, home, obstacle)
        theirs.close()
        return Spare(pid, orders, home)

    def _find_home(self) -> tuple[AttemptHome | None, OSError | None]:
        """One that an earlier attempt left as it was, or a new one; or why there is none: the attempt will tell."""
        if self.homes:
            return self.homes.pop(), None
        folder = self.scratch / uuid4().hex
        try:
            return AttemptHome.make(folder), None
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            return None, error

    def _leave(self, home: AttemptHome | None) -> None:
        """An attempt is over that worked there."""
        if home is None:
            return
        if len(self.homes) < MOST_HOMES and home.is_as_made():
            self.homes.append(home)
        else:
            home.remove()

    def _become_child(
        self, orders: socket.socket, home: AttemptHome | None, obstacle: OSError | None
    ) -> None:
        """In the child: wait for an attempt, run it, end. Never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            processes.die_with_parent()
            processes.adopt_orphans()
            for child in self.children.values():
                child.status.close()
            self.selector.close()
            self.control.close()
            os.close(self.wakeup_read)
            obstacle = obstacle or _move_in(home)
            if obstacle is None and self.orders.spawns:
                self._start_interpreter(orders)
            # Not while the real one waits for its end.
            if obstacle is None and self.script is not None and not select([orders], [], [], 0)[0]:
                self.script.rehearse()
            _reseed()
            attend_once(orders, obstacle=obstacle)
            code = 0
        finally:
            _flush()
            os._exit(code)

    def _start_interpreter(self, orders: socket.socket) -> None:
        """Become another program, which keeps this process's number, its parent and what it promised the kernel."""
        orders.set_inheritable(True)
        module = [sys.executable, "-P", "-m", "zenweb.execution.spawned_child"]
        os.execv(sys.executable, [*module, self.orders.model_dump_json(), str(orders.fileno())])  # noqa: S606  # our own

    def _stop(self, attempt: str, grace: float) -> None:
        for child in self.children.values():
            if child.attempt == attempt and child.kill_at is None:
                child.kill_at = time.monotonic() + grace
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGTERM)

    def _kill_the_stubborn(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if child.kill_at is not None and child.kill_at <= now:
                processes.send_to_all_below(child.pid, signal.SIGKILL)
                processes.send(child.pid, signal.SIGKILL)
                child.kill_at = None

    def _bury(self) -> bool:
        """Reap what has ended. What an ended attempt left behind is now a child of this process: end it too."""
        ended = _reap()
        for pid, status in ended:
            if self.spare is not None and pid == self.spare.pid:
                self.spare.orders.close()
                self._leave(self.spare.home)
                self.spare = None
                self._rehearse_no_more()
            elif child := self.children.pop(pid, None):
                self._end_orphans()
                exited = {"exited": os.waitstatus_to_exitcode(status), "at": time.monotonic()}
                _send(child.status, exited)
                child.status.close()
                self._leave(child.home)
        return bool(ended)

    def _rehearse_no_more(self) -> None:
        """What a child died of that had no attempt may have been the rehearsal."""
        if self.script is not None:
            self.script.remove()
            self.script = None

    def _end_orphans(self) -> None:
        """A running attempt keeps its own orphans, so every child here that is no attempt belongs to one that ended."""
        spare = self.spare.pid if self.spare else None
        while orphans := [
            pid for pid in processes.children_of(os.getpid()) if pid not in self.children and pid != spare
        ]:
            for orphan in orphans:
                processes.send_to_all_below(orphan, signal.SIGKILL)
                processes.send(orphan, signal.SIGKILL)
            for orphan in orphans:
                with suppress(ChildProcessError):
                    os.waitpid(orphan, 0)

    def _end_everything(self) -> None:
        for pid in list(processes.descendants_of(os.getpid())):
            processes.send(pid, signal.SIGKILL)
        ended = list(self.children.values())
        left = [each.home for each in (*ended, self.spare) if each and each.home]
        self.children.clear()
        self.spare = None
        self._end_orphans()
        for child in ended:
            _send(child.status, {"given_up": True})
        for home in (*left, *self.homes):
            home.remove()
        if self.script is not None:
            self.script.remove()


def _reap() -> list[tuple[int, int]]:
    ended = []
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append(found)
    return ended


def _tell(spare: Spare, work: int, log: int) -> bool:
    """Whether the child lives to hear that it has an attempt."""
    try:
        socket.send_fds(spare.orders, [b"attempt"], [work, log])
    except OSError:
        return False
    spare.orders.close()
    return True


def _move_in(home: AttemptHome | None) -> OSError | None:
    """What stands against working there: the attempt will tell."""
    try:
        if home is not None:
            home.enter()
    except OSError as error:
        return error
    return None


def attend_once(
    channel: socket.socket, prepare: Callable[[], None] = lambda: None, obstacle: Exception | None = None
) -> None:
    """In the child: wait for an attempt and run it, unless there is an obstacle: then say so."""
    attempt, descriptors, _, _ = socket.recv_fds(channel, MAX_PACKET, 2)
    channel.close()
    if not attempt:
        return
    work, log = descriptors
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Each line is seen when it is printed, and the last ones of a process that dies are not lost.
            stream.reconfigure(line_buffering=True)
    _attend(socket.socket(fileno=work), prepare, obstacle)


def _attend(work: socket.socket, prepare: Callable[[], None], obstacle: Exception | None) -> None:
    """Read what is to be done, do it, and tell the worker each event."""
    lines = work.makefile("rb")
    emit = _emitter(work)
    try:
        order = parse_order(lines.readline())
        if obstacle is not None:
            raise obstacle
        os.getcwd()  # noqa: PTH109  # raises where the folder was removed since this process waits in it
        prepare()
        work_off = _work_for(order, emit)
    except BaseException as error:  # noqa: BLE001  # recorded as the step's failure
        emit(Failed(exception=describe(error)))
        return
    work_off()


def _work_for(order: Order, emit: Callable[[Event], None]) -> Callable[[], object]:
    """What an order asks for, with its code imported."""
    with importing_for_execution():
        match order:
            case Question():
                return partial(answer_question, import_source(order.source, Step), order, emit)
            case Compilation():
                return partial(compile_pipeline_again, import_source(order.source, Pipeline), order, emit)
            case Assignment():
                if order.server is not None:
                    connection.use(order.server.url, order.server.token, order.server.waits)
                return partial(run_attempt, import_source(order.source, Step), order, emit)


def _emitter(work: socket.socket) -> Callable[[Event], None]:
    lock = threading.Lock()  # user code's threads may note metadata at once
    owner = os.getpid()

    def emit(event: Event) -> None:
        _flush()  # what was printed before an event is in the log before the event is known
        if isinstance(event, Failed):
            _print_traceback(event.exception.traceback)
        if isinstance(event, Completed) and _is_alone(owner):
            event = event.model_copy(update={"is_alone": True})
            # Nobody waits for this process any more, so it may not linger.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, EXIT_LIMIT)
        if isinstance(event, Started | Completed):
            event = event.model_copy(update={"at": time.monotonic()})
        with lock:
            work.sendall(to_line(event))

    return emit


def _print_traceback(text: str) -> None:
    """Where people look first: at the end of the log, whatever user code has made of Python's own streams."""
    with (
        suppress(OSError),
        os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as log,
    ):
        log.write(text)


def _is_alone(owner: int) -> bool:
    """No thread but this one, and no child, and so no descendant: orphans among them become children of this process.

    `owner`: the process that the attempt was given to. User code may have forked and let the copy return.
    """
    pid = os.getpid()
    return pid == owner and processes.threads_of(pid) == 1 and next(processes.children_of(pid), None) is None


def _reseed() -> None:
    """Every child would otherwise draw the same random numbers as its siblings."""
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if torch := sys.modules.get("torch"):
        torch.seed()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _stdin_from_nothing() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _send(target: socket.socket, fields: dict[str, Any]) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):
        target.send(json.dumps(fields).encode())


if __name__ == "__main__":
    main()
