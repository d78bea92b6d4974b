"""A process that makes one environment: a virtual environment with a pipeline's requirements and the SDK in it.

Started by a worker as `python -m zenweb.execution.environment_builder ORDERS`. What the installer prints goes to its
standard output; its end says the rest: 0, the environment is there; 1, it cannot be made, for the reason printed last;
anything else, it was interrupted. It ends all it started when its standard input closes, so when its worker stops it,
or dies. Needs the standard library only.

Any number of these at once are safe. One holds the lock and works in a folder of its own, which gets its name when all
is done; whoever waited meanwhile finds the environment, or the reason why there is none.
"""

import fcntl
import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from select import select
from typing import Any

from zenweb.execution import processes
from zenweb.execution.step_user import StepUser, seal

READY, FAILED, INTERRUPTED = 0, 1, 3
LOCK_PAUSE = 0.1  # seconds between two looks at a lock that another process holds
TAIL = 60  # lines
LARGEST_SCRIPT = 1_000_000  # bytes; what is larger is a program
# Progress bars come in pieces without an end of line, and would stand where people look for the latest line.
QUIET_PIP = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")
# What every attempt in it starts with. Found missing here, it is the environment's failure and not a step's.
PROOF = "import zenweb.execution.warm_parent"


class CannotBeMade(Exception):
    """The environment cannot be made, for a reason that the requirements or the installer gave."""

    def __init__(self, reason: str, untold: str = "") -> None:
        super().__init__(reason)
        self.untold = untold
        """What of the reason was not printed yet."""


class Interrupted(Exception):
    """The worker stopped this, or is gone."""


@dataclass(frozen=True)
class BuildOrders:
    """What the worker starts this process with."""

    target: str
    requirements: list[str]
    sdk_wheel: str
    uv: str | None
    """The installer; None: the new environment's own pip."""
    limit: float
    """Seconds."""
    user: dict[str, Any] | None = None
    """Whom installers run as, as a `StepUser`'s fields; None: as this process does."""

    def to_text(self) -> str:
        return json.dumps(asdict(self))


def main() -> int:
    orders = BuildOrders(**json.loads(sys.argv[1]))
    processes.adopt_orphans()
    try:
        make_environment(orders)
    except CannotBeMade as reason:
        if reason.untold:
            print(reason.untold, flush=True)  # noqa: T201  # this is how it is told
        return FAILED
    except Interrupted:
        return INTERRUPTED
    finally:
        _end_everything_below()
    return READY


def make_environment(orders: BuildOrders) -> None:
    """Raises CannotBeMade, Interrupted."""
    target, came = Path(orders.target), time.monotonic()
    with _lock_of(target):
        if target.exists():
            return
        _remove_unfinished(target)
        _check_nobody_failed_meanwhile(target, came)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            Build(orders, folder).make()
            name_in_scripts(folder, target)
            folder.chmod(0o755)  # readable to the user that steps run as
            folder.rename(target)
            _failure_file(target).unlink(missing_ok=True)
        except CannotBeMade as reason:
            _remember_failure(target, str(reason))
            raise
        finally:
            _end_everything_below()
            shutil.rmtree(folder, ignore_errors=True)


class Build:
    """One try, in a folder that nobody else knows."""

    def __init__(self, orders: BuildOrders, folder: Path) -> None:
        self.orders, self.folder = orders, folder
        self.python = folder / "bin" / "python"
        self.deadline = time.monotonic() + orders.limit
        self.user = StepUser(**orders.user) if orders.user else None
        self.tail: deque[str] = deque(maxlen=TAIL)

    def make(self) -> None:
        wanted = self.folder / "requirements.txt"
        wanted.write_text(
            "\n".join([f"zenweb @ {Path(self.orders.sdk_wheel).as_uri()}", *self.orders.requirements])
        )
        if self.user is None:
            self._install(wanted)
            return
        # Given away after the last write, and taken back before the next: links might be waiting for one.
        self.user.give(self.folder)
        try:
            self._install(wanted)
        finally:
            _end_everything_below()
            seal(self.folder)

    def _install(self, wanted: Path) -> None:
        install: list[str | Path]
        if self.orders.uv:
            self._run(
                self.orders.uv, "venv", "--quiet", "--python", sys.executable, "--allow-existing", self.folder
            )
            install = [self.orders.uv, "pip", "install", "--python", self.python, "--compile-bytecode"]
        else:
            self._run(sys.executable, "-m", "venv", self.folder)
            install = [self.python, "-m", "pip", "install", *QUIET_PIP]
        self._run(*install, "--requirement", wanted)
        self._run(self.python, "-I", "-c", PROOF)

    def _run(self, *command: "str | Path") -> None:
        with subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd=self.folder,  # installers read settings from the folder they are started in
            # This process has one thread, so that here it is safe.
            preexec_fn=processes.die_with_parent if self.user is None else _confine,  # noqa: PLW1509
            **self._as_user(),
        ) as process:
            try:
                self._pass_on(process)
            except BaseException:
                _end_everything_below()
                raise
        if process.returncode:
            raise CannotBeMade("\n".join(self.tail))

    def _as_user(self) -> dict[str, Any]:
        if self.user is None:
            return {}
        # A cache of its own: the worker's user's is closed to it, and what it keeps there is as good as its word.
        cache = self.user.own_folder(Path(self.orders.target).parent / ".home")
        environment = self.user.environment(os.environ, cache) | {"UV_LINK_MODE": "copy"}  # noqa: TID251  its own
        return {**self.user.popen_options(), "env": environment}

    def _pass_on(self, process: "subprocess.Popen[bytes]") -> None:
        """What it prints, line by line, until it ends. Not until the end of its pipe, which others may hold."""
        assert process.stdout is not None  # noqa: S101  # it is a pipe, see above
        pending = b""
        while True:
            has_ended = process.poll() is not None
            readable = select([sys.stdin, process.stdout], [], [], 0 if has_ended else LOCK_PAUSE)[0]
            if sys.stdin in readable:
                raise Interrupted
            if time.monotonic() > self.deadline:
                sentence = f"It took longer than {self.orders.limit:g} s and was ended."
                raise CannotBeMade("\n".join([*self.tail, sentence]), sentence)
            received = os.read(process.stdout.fileno(), 65_536) if process.stdout in readable else b""
            *lines_, pending = (pending + received).split(b"\n")
            self._tell(lines_)
            if has_ended and not received:
                self._tell([pending] if pending else [])
                return

    def _tell(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                self.tail.append(text)
                with suppress(BrokenPipeError):
                    print(text, flush=True)  # noqa: T201


def _confine() -> None:
    processes.die_with_parent()
    processes.gain_no_privileges()


def name_in_scripts(made_in: Path, target: Path) -> None:
    """Have the scripts of an environment name the folder that it will have. Raises CannotBeMade.

    The installer chose what lies there, and may be another user than this process: no link is followed, and nothing is
    written into a file that was there.
    """
    old, new = str(made_in).encode(), str(target).encode()
    with _scripts_of(made_in) as scripts:
        for name in os.listdir(scripts):  # noqa: PTH208  it is open already
            content, mode = _read_script(name, scripts)
            if old in content and b"\0" not in content:
                # A new file: the old one may be the installer's cached copy under another name.
                _replace(name, scripts, content.replace(old, new), mode)


@contextmanager
def _scripts_of(environment: Path) -> Iterator[int]:
    try:
        opened = os.open(environment / "bin", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        sentence = "The installer left no folder `bin` in the environment."
        raise CannotBeMade(sentence, sentence) from error
    try:
        yield opened
    finally:
        os.close(opened)


def _read_script(name: str, folder: int) -> tuple[bytes, int]:
    """What is in it, and its mode; nothing of what is no file or too large for a script."""
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:  # a link, a socket
        return b"", 0
    with os.fdopen(opened, "rb") as script:
        found = os.fstat(opened)
        is_script = stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_SCRIPT
        return script.read(LARGEST_SCRIPT) if is_script else b"", found.st_mode & 0o777


def _replace(name: str, folder: int, content: bytes, mode: int) -> None:
    unfinished = f".{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(unfinished, flags, 0o600, dir_fd=folder), "wb") as changed:
        changed.write(content)
        os.fchmod(changed.fileno(), mode)
    os.replace(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)


def remove_unfinished(environments: Path) -> None:
    """Remove what killed builds left behind, unless somebody is at it again."""
    for lock in environments.glob(".*.lock"):
        target = environments / lock.name.removeprefix(".").removesuffix(".lock")
        with lock.open("w") as opened, suppress(BlockingIOError):
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_unfinished(target)


def _remove_unfinished(target: Path) -> None:
    for folder in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _lock_of(target: Path) -> Iterator[None]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as opened:
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if select([sys.stdin], [], [], LOCK_PAUSE)[0]:
                    raise Interrupted from None
        yield


def _check_nobody_failed_meanwhile(target: Path, came: float) -> None:
    """Many steps wait for one environment: the first failure is the answer to all that came before it."""
    with suppress(FileNotFoundError):
        failure = json.loads(_failure_file(target).read_text())
        # By the clock that all processes of a machine share since it was started.
        if came < failure["moment"] <= time.monotonic():
            raise CannotBeMade(failure["reason"], failure["reason"])


def _remember_failure(target: Path, reason: str) -> None:
    unfinished = _failure_file(target).with_suffix(".new")
    unfinished.write_text(json.dumps({"moment": time.monotonic(), "reason": reason}))
    unfinished.replace(_failure_file(target))


def _failure_file(target: Path) -> Path:
    return target.parent / f".{target.name}.failed"


def _end_everything_below() -> None:
    pid = os.getpid()
    while below := list(processes.descendants_of(pid)):
        for descendant in below:
            processes.send(descendant, 9)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


if __name__ == "__main__":
    sys.exit(main())
