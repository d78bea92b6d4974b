"""Environments of pipelines with requirements: made once per machine, while the steps that need them wait here."""

import hashlib
import json
import logging
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections
from django.utils import timezone

from runs_app import recording
from runs_app.models import Environment, StepAttempt
from runs_app.sdk_wheel import sdk_wheel
from zenweb.enums import EnvironmentStatus
from zenweb.execution.environment_builder import FAILED, READY, TAIL, BuildOrders, remove_unfinished
from zenweb.execution.protocol import StepException

logger = logging.getLogger(__name__)
EXPLAINED_EVERY = 1.0  # seconds
MOST_NAMES = 5
SHOWN_LINES, SHOWN_CHARACTERS = 12, 1_400
CREDENTIALS = re.compile(
    r"://[^/\s@]+@"
)  # in an index's address: everybody who is signed in reads what is told
CHATTER = "Using Python "  # uv's first line
END_LIMIT = 5.0  # seconds that a build may take to end when it is told to


class EnvironmentFailed(Exception):
    """The environment cannot be made; no step of the run can be executed."""

    def __init__(self, exception: StepException, log: str) -> None:
        super().__init__(exception.message)
        self.exception, self.log = exception, log


class BuildStopped(Exception):
    """The run was stopped, or the worker shut down, while the environment was being made."""


@dataclass(frozen=True)
class Recipe:
    """All that decides what is in an environment."""

    requirements: tuple[str, ...]

    @cached_property
    def hash(self) -> str:
        facts = [
            sorted(self.requirements),
            [platform.python_implementation(), platform.python_version(), sys.base_exec_prefix],
            sysconfig.get_platform(),
            sdk_wheel().sha256,
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    @property
    def folder(self) -> Path:
        return Path(settings.DATA_DIR, "environments", self.hash)

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def words(self) -> str:
        more = len(self.requirements) - MOST_NAMES
        rest = f" and {more} more" if more > 0 else ""
        return f"{self.hash} ({', '.join(self.requirements[:MOST_NAMES])}{rest})"

    def orders(self) -> BuildOrders:
        return BuildOrders(
            target=str(self.folder),
            requirements=list(self.requirements),
            sdk_wheel=str(sdk_wheel().store(self.folder.parent)),
            uv=shutil.which("uv", path=settings.INSTALLER_ENVIRONMENT.get("PATH")),
            limit=settings.ENVIRONMENT_LIMIT.total_seconds(),
        )


class Build:
    """A running process that makes an environment, as its worker sees it."""

    def __init__(self, recipe: Recipe) -> None:
        self.was_stopped = False
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "zenweb.execution.environment_builder", recipe.orders().to_text()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(settings.INSTALLER_ENVIRONMENT),
            start_new_session=True,
        )

    def stop(self, grace: timedelta | None = None) -> None:
        """Have it end all that it started, and itself; `grace` is for steps, an installer needs none."""
        self.was_stopped = True
        self._hang_up()

    def watch(self, on_line: Callable[[str], None]) -> int:
        """Wait for its end, passing on what the installer prints; how it ended."""
        try:
            for line in self.process.stdout or ():
                text = line.decode(errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}").rstrip()
                text = CREDENTIALS.sub("://•••@", text)
                self.tail.append(text)
                on_line(text)
            return self.process.wait()
        finally:
            self._end()

    def _hang_up(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()

    def _end(self) -> None:
        self._hang_up()
        try:
            self.process.wait(END_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Environments:
    """The environments that one worker has use for. `running` is where the worker finds what it may have to stop."""

    def __init__(self, running: MutableMapping[uuid.UUID, Any]) -> None:
        self._running = running
        self._is_over = False
        remove_unfinished(Path(settings.DATA_DIR, "environments"))

    def python_for(self, requirements: Sequence[str], attempt: StepAttempt | None) -> Path:
        """The interpreter for a pipeline with these requirements. Makes its environment unless it is there, and tells
        the attempt's step and run about it. Raises EnvironmentFailed, BuildStopped.
        """
        if not requirements:
            return Path(sys.executable)
        recipe = Recipe(tuple(requirements))
        if not recipe.folder.exists():
            self._make(recipe, Progress(recipe, attempt))
        return recipe.python

    def interrupt(self) -> None:
        """Stop what is being made, and make nothing any more."""
        self._is_over = True
        for build in [running for running in list(self._running.values()) if isinstance(running, Build)]:
            build.stop()

    def _make(self, recipe: Recipe, progress: "Progress") -> None:
        key = progress.attempt.pk if progress.attempt else uuid.uuid4()
        progress.begins()
        build = self._running[key] = Build(recipe)
        try:
            if self._is_over:
                build.stop()
            code = build.watch(progress.goes_on)
        finally:
            del self._running[key]
        progress.ended(code, build.tail)
        if code == READY:
            return
        if build.was_stopped and code != FAILED:
            raise BuildStopped
        raise _failure(recipe, code, build.tail)


class Progress:
    """Tells people how the making of an environment goes: in its row, at the step, in the run's ledger.

    What cannot be told, because the database is away, ends no build.
    """

    def __init__(self, recipe: Recipe, attempt: StepAttempt | None) -> None:
        self.recipe, self.attempt = recipe, attempt
        self._started = self._explained = time.monotonic()

    def begins(self) -> None:
        sentence = f"Environment {self.recipe.words} is being made."
        with _telling():
            # The row is every machine's: that this one has still to make it takes nothing from those that have it.
            if not Environment.objects.filter(hash=self.recipe.hash, status=EnvironmentStatus.READY).exists():
                self._write(status=EnvironmentStatus.MAKING, log_tail="", made_at=None, seconds=None)
            self._note(sentence)
            self._explain(sentence)

    def goes_on(self, line: str) -> None:
        if line and time.monotonic() - self._explained >= EXPLAINED_EVERY:
            self._explained = time.monotonic()
            with _telling():
                self._explain(f"Environment {self.recipe.words} is being made: {line.strip()[:200]}")

    def ended(self, code: int, tail: Sequence[str]) -> None:
        seconds = time.monotonic() - self._started
        log = "\n".join(tail)
        with _telling():
            if code != READY:
                if log:  # else it was interrupted, which says nothing about the environment
                    self._write(status=EnvironmentStatus.FAILED, log_tail=log)
                return
            made = {"made_at": timezone.now(), "seconds": round(seconds, 1)}
            self._write(status=EnvironmentStatus.READY, log_tail=log, **made)
            beginning = f"Environment {self.recipe.hash} was made in"
            self._note(f"{beginning} {seconds:.0f} s.", beginning)
            self._explain("")

    def _note(self, sentence: str, beginning: str = "") -> None:
        if self.attempt:
            recording.note_once(self.attempt.step.run_id, sentence, beginning)

    def _explain(self, sentence: str) -> None:
        if self.attempt:
            recording.explain(self.attempt, sentence)

    def _write(self, **facts: Any) -> None:
        recipe = self.recipe
        Environment.objects.update_or_create(
            hash=recipe.hash,
            defaults=facts,
            create_defaults={
                "requirements": list(recipe.requirements),
                "python_version": platform.python_version(),
                "sdk_version": sdk_wheel().version,
                "platform": sysconfig.get_platform(),
                **facts,
            },
        )


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except DatabaseError:
        logger.warning("The making of an environment could not be told.", exc_info=True)
        connections.close_all()
    close_old_connections()  # a pooled one goes back: the next thing to tell may take minutes to happen


def _failure(recipe: Recipe, code: int, tail: Sequence[str]) -> EnvironmentFailed:
    lines = [line for line in tail if line and not line.startswith(CHATTER)]
    shown = "\n".join(lines[-SHOWN_LINES:])[-SHOWN_CHARACTERS:]
    said = f"The installer's last lines:\n{shown}" if shown else f"Its installer ended with {code}, silently."
    message = f"Environment {recipe.words} cannot be made.\n{said}"
    exception = StepException(type="EnvironmentFailed", message=message, traceback="")
    return EnvironmentFailed(exception, "\n".join(tail))
