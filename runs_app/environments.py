"""Environments of pipelines with requirements: made once per machine, while the steps that need them wait unclaimed."""

import hashlib
import json
import logging
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections
from django.db.models import Exists, OuterRef
from django.utils import timezone

from runs_app import recording
from runs_app.environment_folders import EnvironmentFolders
from runs_app.models import Environment, PipelineRun, StepRun
from runs_app.plans import plan_of
from runs_app.sdk_wheel import sdk_wheel
from templates_app.models import PipelineDeployment
from zenweb.enums import EnvironmentStatus
from zenweb.execution.environment_builder import FAILED, READY, TAIL, BuildOrders, remove_unfinished
from zenweb.execution.protocol import StepException
from zenweb.execution.step_user import StepUser

logger = logging.getLogger(__name__)
MOST_BUILDS = 2  # at once: they share the machine with the steps
MOST_TOLD = 200  # runs that are told at once what they wait for
PRUNED_EVERY = 60.0  # seconds between two looks for environments that nobody uses
MOST_REMOVED = 1  # environments at once
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
    """All runs that waited for the environment were stopped, or the worker shut down, while it was being made."""


class NotThereYet(Exception):
    """The environment has still to be made; steps that need it wait where they are, in the database."""

    def __init__(self, run: PipelineRun) -> None:
        super().__init__(run.name)
        self.run = run


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

    def orders(self, user: StepUser | None = None) -> BuildOrders:
        """`user`: whom the installer runs as, if that is not the worker's own user."""
        return BuildOrders(
            target=str(self.folder),
            requirements=list(self.requirements),
            sdk_wheel=str(sdk_wheel().store(self.folder.parent)),
            uv=shutil.which("uv", path=settings.INSTALLER_ENVIRONMENT.get("PATH")),
            limit=settings.ENVIRONMENT_LIMIT.total_seconds(),
            user=asdict(user) if user else None,
        )


@lru_cache(maxsize=128)
def recipe_of(requirements: tuple[str, ...]) -> Recipe:
    """Every step asks for it twice, and hashing takes a while."""
    return Recipe(requirements)


class Build:
    """A running process that makes an environment, as its worker sees it."""

    def __init__(self, recipe: Recipe, user: StepUser | None = None) -> None:
        self.was_stopped = False
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "zenweb.execution.environment_builder",
                recipe.orders(user).to_text(),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(settings.INSTALLER_ENVIRONMENT),
            start_new_session=True,
        )

    def stop(self) -> None:
        """Have it end all that it started, and itself."""
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


class Making:
    """One environment that this worker makes, with those who wait for it."""

    def __init__(self, recipe: Recipe, user: StepUser | None = None) -> None:
        self.recipe, self._user = recipe, user
        self.deployments: set[uuid.UUID] = set()
        """Whose steps are passed over meanwhile; the runs that were told what they wait for:"""
        self.runs: set[uuid.UUID] = set()
        self.line = ""
        """The installer's latest."""
        self.end: Future[None]
        self._build: Build | None = None
        self._is_unwanted = False
        self._lock = threading.Lock()

    @property
    def has_begun(self) -> bool:
        return self._build is not None

    @property
    def sentence(self) -> str:
        if not self.has_begun:
            return f"Environment {self.recipe.words} will be made after others that are being made."
        said = f": {self.line[:200]}" if self.line else "."
        return f"Environment {self.recipe.words} is being made{said}"

    def stop(self) -> None:
        with self._lock:
            self._is_unwanted = True
            if self._build is not None:
                self._build.stop()

    def make(self) -> None:
        """Raises EnvironmentFailed, BuildStopped."""
        started = time.monotonic()
        build = self._begin()
        with _telling():
            self._note_beginning()
        code = build.watch(self._listen)
        with _telling():
            self._note_end(code, "\n".join(build.tail), time.monotonic() - started)
        if code == READY:
            return
        if build.was_stopped and code != FAILED:
            raise BuildStopped
        raise _failure(self.recipe, code, build.tail)

    def tell(self, runs: Collection[uuid.UUID]) -> None:
        """Write into the ledgers of these runs that they wait for it."""
        self.runs.update(runs)
        recording.note_once(runs, f"Environment {self.recipe.words} is being made.")

    def _begin(self) -> Build:
        with self._lock:
            if self._is_unwanted:
                raise BuildStopped
            self._build = Build(self.recipe, self._user)
            return self._build

    def _listen(self, line: str) -> None:
        self.line = line.strip() or self.line

    def _note_beginning(self) -> None:
        # The row is every machine's: that this one has still to make it takes nothing from those that have it.
        if not Environment.objects.filter(hash=self.recipe.hash, status=EnvironmentStatus.READY).exists():
            _write(self.recipe, status=EnvironmentStatus.MAKING, log_tail="", made_at=None, seconds=None)
        self.tell(list(self.runs))

    def _note_end(self, code: int, log: str, seconds: float) -> None:
        if code != READY:
            if log:  # else it was interrupted, which says nothing about the environment
                _write(self.recipe, status=EnvironmentStatus.FAILED, log_tail=log)
            return
        made = {"made_at": timezone.now(), "seconds": round(seconds, 1)}
        _write(self.recipe, status=EnvironmentStatus.READY, log_tail=log, **made)
        beginning = f"Environment {self.recipe.hash} was made in"
        recording.note_once(list(self.runs), f"{beginning} {seconds:.0f} s.", beginning)


class Environments:
    """The environments that one worker has use for: there, being made, or not to be had.

    Making one takes minutes and no slot: steps that need it are not claimed before it is there, whoever has it may
    take them meanwhile. `look_again` is called when steps that were passed over can be run, or fail.
    """

    def __init__(
        self, queues: Collection[str], look_again: Callable[[], None], user: StepUser | None = None
    ) -> None:
        self._queues, self._look_again, self._user = queues, look_again, user
        self._makers = ThreadPoolExecutor(MOST_BUILDS, thread_name_prefix="environments")
        self._tidying = ThreadPoolExecutor(1, thread_name_prefix="tidying")
        self._pruning: Future[None] | None = None
        self._lock = threading.Lock()
        self._recipes: dict[uuid.UUID, Recipe | None] = {}
        """What deployments need, as far as they were looked at."""
        self._making: dict[str, Making] = {}
        self._failures: dict[str, tuple[EnvironmentFailed, Collection[uuid.UUID]]] = {}
        self._is_over = False
        self._root = Path(settings.DATA_DIR, "environments")
        self._folders = EnvironmentFolders(self._root)
        self._prune_next = time.monotonic() + PRUNED_EVERY
        remove_unfinished(self._root)

    def check(self, run: PipelineRun) -> None:
        """Whether a step of this run may be claimed, told without asking the database. Raises NotThereYet.

        It may also be claimed to fail: if the environment that the run waited for cannot be made.
        """
        if run.deployment_id not in self._recipes:
            raise NotThereYet(run)  # perhaps: it has to be looked at first
        recipe = self._recipes[run.deployment_id]
        if recipe and not recipe.folder.exists() and self._failure_for(recipe, run.pk) is None:
            raise NotThereYet(run)

    def see_to(self, run: PipelineRun) -> None:
        """Have made what the run needs and is not there; raises BuildStopped when it is too late for that."""
        requirements = plan_of(run.deployment_id).requirements
        recipe = self._recipes[run.deployment_id] = recipe_of(requirements) if requirements else None
        if recipe and not recipe.folder.exists() and self._failure_for(recipe, run.pk) is None:
            self._have_made(recipe, run)

    def passed_over(self) -> list[uuid.UUID]:
        """Deployments whose steps cannot be run yet."""
        if not self._making:
            return []
        with self._lock:
            return [deployment for making in self._making.values() for deployment in making.deployments]

    def told(self) -> dict[str, str]:
        """By deployment, what its steps wait for."""
        with self._lock:
            return {str(pk): making.sentence for making in self._making.values() for pk in making.deployments}

    def python_for(self, requirements: Sequence[str], run: PipelineRun | None = None) -> Path:
        """The interpreter for a pipeline with these requirements; waits here while its environment is not there.

        Raises EnvironmentFailed, BuildStopped.
        """
        if not requirements:
            return Path(sys.executable)
        recipe = recipe_of(tuple(requirements))
        while not self._folders.hold(recipe.hash):
            if run is not None and (failure := self._failure_for(recipe, run.pk)) is not None:
                raise failure
            self._have_made(recipe, run).end.result()
        return recipe.python

    def coming(self, requirements: Sequence[str]) -> Future[None] | None:
        """What ends when the environment for these requirements is there, or cannot be made; None: it is there.

        Raises BuildStopped.
        """
        recipe = recipe_of(tuple(requirements)) if requirements else None
        return self._have_made(recipe, None).end if recipe and not recipe.folder.exists() else None

    def tend(self) -> None:
        """Tell those who came to wait for what is being made, and stop making what only stopped runs waited for."""
        for making in [making for making in list(self._making.values()) if making.has_begun]:
            making.tell(self._waiting_for(making))
            runs = list(making.runs)
            if runs and not PipelineRun.objects.filter(pk__in=runs, stop_requested_at=None).exists():
                making.stop()

    def tidy_up(self, in_use: Collection[Path]) -> None:
        """Keep what the warm parents with these interpreters use; now and then remove what nobody used for long."""
        if time.monotonic() < self._prune_next or self._is_over:
            return
        self._prune_next = time.monotonic() + PRUNED_EVERY
        folders = {python.parent.parent for python in in_use}
        used = self._folders.renew([folder.name for folder in folders if folder.parent == self._root])
        with suppress(RuntimeError):  # it is over
            # Beside the makers, which may be busy for long, and never two at once.
            if self._pruning is None or self._pruning.done():
                self._pruning = self._tidying.submit(self._prune, used)

    def close(self) -> None:
        """Nothing of this worker runs in any of them now."""
        self._folders.close()

    def interrupt(self) -> None:
        """Stop what is being made, and make nothing any more."""
        with self._lock:
            self._is_over = True
            everything = list(self._making.values())
        for making in everything:
            making.stop()
        self._makers.shutdown(wait=False)
        self._tidying.shutdown(wait=False)

    def _have_made(self, recipe: Recipe, run: PipelineRun | None) -> Making:
        """The one making of this environment that goes on here; raises BuildStopped when it is too late for one."""
        with self._lock:
            if self._is_over:
                raise BuildStopped
            making = self._making.get(recipe.hash) or Making(recipe, self._user)
            if run is not None:
                making.deployments.add(run.deployment_id)
            if recipe.hash not in self._making:
                making.runs.update([run.pk] if run else [])  # whoever comes later is found by `tend`
                self._failures.pop(recipe.hash, None)
                self._making[recipe.hash] = making
                making.end = self._makers.submit(self._make, making)
            return making

    def _make(self, making: Making) -> None:
        failure = None
        try:
            making.make()
        except BuildStopped:
            raise
        except EnvironmentFailed as error:
            failure = error
            raise
        except Exception as error:
            logger.exception("Environment %s could not be made.", making.recipe.hash)
            failure = _failed(making.recipe, f"The worker could not see to it: {error}", "")
            raise failure from error
        finally:
            self._has_ended(making, failure)
            connections.close_all()

    def _has_ended(self, making: Making, failure: EnvironmentFailed | None) -> None:
        waiting = set[uuid.UUID]()
        if failure is not None:
            with _telling():  # it is the answer to all that wait; who comes later tries again
                waiting = self._waiting_for(making)
        with self._lock:
            if failure is not None:
                self._failures[making.recipe.hash] = (failure, waiting | making.runs)
            del self._making[making.recipe.hash]
        if not self._is_over:
            self._look_again()

    def _prune(self, used: Collection[str]) -> None:
        """A little at a time: whoever removes one keeps another waiting that is to be made."""
        now = timezone.now()
        try:
            Environment.objects.filter(hash__in=used).update(used_at=now)
            if (kept := settings.KEEP_ENVIRONMENTS) is None:
                return
            unused = self._folders.unused_for(kept)
            wanted = wanted_by_open_runs() if unused else set()
            removed = (name for name in unused if name not in wanted and self._folders.remove(name))
            for name in islice(removed, MOST_REMOVED):
                logger.info("Environment %s was removed: nobody used it for %d days.", name, kept.days)
            Environment.objects.filter(used_at__lt=now - kept).delete()
        except (DatabaseError, OSError):
            logger.warning("Environments that nobody uses could not be looked for.", exc_info=True)
        finally:
            connections.close_all()

    def _failure_for(self, recipe: Recipe, run_id: uuid.UUID) -> EnvironmentFailed | None:
        failure, runs = self._failures.get(recipe.hash, (None, ()))
        return failure if run_id in runs else None

    def _waiting_for(self, making: Making) -> set[uuid.UUID]:
        """Runs with steps that are passed over, beside those that are known to have some."""
        ready = StepRun.objects.filter(ready_at__isnull=False, queue__in=self._queues)
        waiting = ready.filter(run__deployment_id__in=list(making.deployments))
        untold = waiting.exclude(run_id__in=list(making.runs)).order_by()
        return set(untold.values_list("run_id", flat=True).distinct()[:MOST_TOLD])


def wanted_by_open_runs() -> set[str]:
    """The environments, as this machine makes them, of all runs that have not ended."""
    unfinished = PipelineRun.objects.unfinished().filter(deployment=OuterRef("pk"))
    deployments = PipelineDeployment.objects.filter(Exists(unfinished))
    wanted = {tuple(requirements) for requirements in deployments.values_list("requirements", flat=True)}
    return {recipe_of(requirements).hash for requirements in wanted if requirements}


def _write(recipe: Recipe, **facts: Any) -> None:
    facts["used_at"] = timezone.now()
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
    return _failed(recipe, said, "\n".join(tail))


def _failed(recipe: Recipe, said: str, log: str) -> EnvironmentFailed:
    message = f"Environment {recipe.words} cannot be made.\n{said}"
    return EnvironmentFailed(StepException(type="EnvironmentFailed", message=message, traceback=""), log)
