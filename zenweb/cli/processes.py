"""Child processes of `zenweb up`: each in a group of its own with a log file, and none outlives the parent."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NoReturn, Self

import click
import psutil

from zenweb.exceptions import ZenWebError

IS_LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STOP_GRACE = 5.0  # seconds between TERM and KILL
LOG_TAIL = 15  # lines shown of the log of a child that died
POLL = 0.05
WATCH_INTERVAL = 0.2
LEAST_LIFE = 3.0  # seconds; a child that ends sooner is not started again

_prctl = ctypes.CDLL(None, use_errno=True).prctl if IS_LINUX else None


class ChildDied(ZenWebError):
    """A process that `zenweb up` needs has ended."""


class StartTimedOut(ZenWebError):
    """A process that `zenweb up` started did not become ready."""


@dataclass(frozen=True)
class Child:
    """A running child, by the name a person knows it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    serves_others: bool
    replace: "Callable[[], Child]"
    """Starts another one in its place."""
    started: float = field(default_factory=time.monotonic)

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-LOG_TAIL:])

    def signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it ended by itself, and so did its group
            os.killpg(self.process.pid, number)


@dataclass
class Supervisor:
    """Starts children, watches them, and ends them together with everything below them."""

    logs: Path
    stop_grace: float = STOP_GRACE
    children: list[Child] = field(default_factory=list)
    _strangers: list[psutil.Process] = field(default_factory=list)
    """Children this process had before, which are none of our business."""

    def __enter__(self) -> Self:
        self._strangers = psutil.Process().children()
        adopt_orphans(True)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:  # a second Ctrl-C ends the patience above
            self.kill()
            adopt_orphans(False)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        on_parent_death: signal.Signals = signal.SIGTERM,
        serves_others: bool = False,
        log_mode: Literal["wb", "ab"] = "wb",
    ) -> Child:
        """Start a child; it gets `on_parent_death` should this process be killed.

        It is started again when it ends while `watch` looks on.
        """
        log = self.logs / f"{name.replace(' ', '-')}.log"
        again = partial(
            self.start,
            name,
            command,
            env=env,
            cwd=cwd,
            on_parent_death=on_parent_death,
            serves_others=serves_others,
            log_mode="ab",
        )
        with log.open(log_mode) as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                # Ctrl-C reaches the terminal's foreground group: only this process is in it, and decides.
                process_group=0,
                preexec_fn=tie_to_parent(on_parent_death),  # noqa: PLW1509  no threads here
            )
        child = Child(name, process, log, serves_others, again)
        self.children.append(child)
        return child

    def check(self) -> None:
        """Raise `ChildDied` if any child has ended."""
        for child in self.children:
            status = child.process.poll()
            if status is not None:
                raise ChildDied(
                    f"The {child.name} {_describe_end(status)}, so everything stops."
                    f" Its last lines (all of them are in {child.log}):\n{child.last_lines()}"
                )
        self._reap_orphans()

    def wait_for(self, condition: Callable[[], bool], *, what: str, timeout: float) -> None:
        """Wait until `condition` holds, while every child lives."""
        deadline = time.monotonic() + timeout
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise StartTimedOut(
                    f"{what} did not happen within {timeout:.0f} s; the logs are in {self.logs}."
                )
            time.sleep(POLL)

    def watch(self) -> NoReturn:
        """Replace children that end; raise `ChildDied` when one hardly lived."""
        while True:
            self.replace_ended()
            self.check()
            time.sleep(WATCH_INTERVAL)

    def replace_ended(self) -> None:
        """Start again what ended, unless it hardly lived: then starting it again would not help either."""
        for child in [child for child in self.children if not child.is_running]:
            if time.monotonic() - child.started > LEAST_LIFE:
                how = _describe_end(child.process.returncode)
                click.echo(
                    f"The {child.name} {how}; another one takes its place (see {child.log}).", err=True
                )
                child.signal_group(signal.SIGKILL)  # what it left in its group may hold its port
                self.children.remove(child)
                child.replace()

    def stop(self) -> None:
        """Ask all children to end. Those that serve others go last, or the others would miss them."""
        for last in (False, True):
            wave = [child for child in self.children if child.serves_others is last]
            for child in wave:
                child.signal_group(signal.SIGTERM)
            deadline = time.monotonic() + self.stop_grace
            while any(child.is_running for child in wave) and time.monotonic() < deadline:
                time.sleep(POLL)

    def kill(self) -> None:
        """End everything below this process at once, however deep, and wait for its end."""
        for child in self.children:
            child.signal_group(signal.SIGKILL)
            child.process.wait()
        while leftover := self._descendants():
            for process in leftover:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(leftover, timeout=1)
        self.children.clear()

    def _descendants(self) -> list[psutil.Process]:
        found = []
        for process in psutil.Process().children():
            if process not in self._strangers:
                with suppress(psutil.NoSuchProcess):
                    found += [process, *process.children(recursive=True)]
        return found

    def _reap_orphans(self) -> None:
        """Bury adopted grandchildren; children are `Popen`'s to wait for."""
        awaited = {child.process.pid for child in self.children} | {
            process.pid for process in self._strangers
        }
        while IS_LINUX and (ended := _peek_ended()) and ended not in awaited:
            os.waitpid(ended, os.WNOHANG)


def adopt_orphans(adopt: bool) -> None:
    """What a dying child leaves behind becomes this process's own, so that it can be found and ended."""
    if _prctl:
        _prctl(PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0)


def tie_to_parent(number: signal.Signals) -> Callable[[], None]:
    """What a child runs before its program: the kernel shall send it `number` when this process ends."""
    parent = os.getpid()

    def tie() -> None:
        if _prctl:
            _prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
            if os.getppid() != parent:  # it ended before the line above
                os.kill(os.getpid(), number)

    return tie


def _peek_ended() -> int:
    """The id of a child that has ended and was not waited for yet, or 0."""
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return ended.si_pid if ended else 0


def _describe_end(status: int) -> str:
    if status < 0:
        return f"was killed by signal {-status}"
    return f"ended with exit code {status}"
