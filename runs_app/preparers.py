"""Asks what has to be known before a run, in threads beside a worker's slots: no long step keeps a form waiting."""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connections,
    transaction,
)

from runs_app import choices, compiled_runs, preparations
from runs_app.assignments import compilation_for, question_for
from runs_app.environments import BuildStopped, EnvironmentFailed, Environments
from runs_app.models import Preparation, Worker
from runs_app.plans import plan_of
from runs_app.preparations import Option
from runs_app.questions import CompileQuestion, choice_places
from runs_app.warm_parent import ChildEnd, ImportFailed, Lease, ParentKey, ParentLost
from runs_app.warm_parents import WarmParents
from templates_app.models import PipelineDeployment
from templates_app.services import CompiledAgain, derive_deployment
from zenweb.enums import PreparationKind, StepProcess
from zenweb.exceptions import AuthoringError, ChoicesNotUsable, ValidationFailed, ZenWebError
from zenweb.execution.protocol import Compiled

logger = logging.getLogger(__name__)
THREADS = 2
LOOK_PAUSE = 0.3  # seconds between two looks that nobody rang for
RECORDING_PAUSE = 0.5
STRAYS_PAUSE = 5.0
LOG_LIMIT = 20_000
COMPILE_LIMIT = 60.0  # seconds
OURS = {each.__name__ for each in (ChoicesNotUsable, AuthoringError)}


class GivenUp(Exception):
    """Why it was not asked to the end; nobody is to blame."""


@dataclass(frozen=True)
class Found:
    """How asking ended."""

    options: list[Option] | None = None
    compiled: Compiled | None = None
    failure: str = ""
    blamed: str = ""
    """The pipeline's parameter that is wrong."""
    log: str = ""


class Preparers:
    """Claims questions of its worker's queues and answers them; `identity` is the worker's, as it is now."""

    def __init__(
        self,
        *,
        queues: Iterable[str],
        identity: Callable[[], tuple[Worker, Lease]],
        parents: WarmParents,
        environments: Environments,
        parent_key: Callable[[uuid.UUID], ParentKey],
    ) -> None:
        self._queues, self._identity = list(queues), identity
        self._parents, self._environments, self._parent_key = parents, environments, parent_key
        self._over, self._bell, self._looking = threading.Event(), threading.Event(), threading.Lock()
        self._in_hand = set[uuid.UUID]()
        self._strays = set[uuid.UUID]()
        self._look_for_strays_at = 0.0
        self._coming: dict[uuid.UUID, Future[None]] = {}
        """By deployment, the environments that its questions wait for."""
        self._threads = [
            threading.Thread(target=self._serve, name=f"preparing-{number}", daemon=True)
            for number in range(THREADS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look now."""
        self._bell.set()

    def stop(self) -> None:
        """Claim nothing any more. What is being asked ends with its process."""
        self._over.set()
        self._bell.set()

    def join(self, seconds: float) -> None:
        for thread in self._threads:
            if thread.is_alive():
                thread.join(seconds)

    def give_back_strays(self, row: Worker) -> None:
        """Questions that this worker was given without hearing of it: the database went away while it answered."""
        if time.monotonic() < self._look_for_strays_at:
            return
        self._look_for_strays_at = time.monotonic() + STRAYS_PAUSE
        held = {found.pk: found for found in Preparation.objects.held_by(row.pk).defer("answer")}
        strays = held.keys() - self._in_hand
        for pk in strays & self._strays:  # seen twice: it was not just about to be taken in hand
            preparations.give_back(held[pk])
        self._strays = strays

    # -- one question after the other ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                with self._looking:  # one looks; the others answer, or wait to be the one
                    claimed, lease = self._next()
                if claimed is not None:
                    self._answer(claimed, lease)
            except Exception:  # nobody would start this thread again
                logger.exception("Looking for questions failed.")
                self._over.wait(LOOK_PAUSE)
        connections.close_all()

    def _next(self) -> tuple[Preparation | None, Lease]:
        """The next question, however long it takes to come; None when all is over."""
        while True:
            row, lease = self._identity()
            if self._over.is_set():
                return None, lease
            self._bell.clear()
            try:
                if lease.is_held and (claimed := preparations.claim(row, self._queues, self._passed_over())):
                    self._in_hand.add(claimed.pk)
                    return claimed, lease
            except DatabaseError:
                logger.warning("The database does not answer; questions wait.", exc_info=True)
                connections.close_all()
            close_old_connections()  # a pooled one goes back
            self._bell.wait(LOOK_PAUSE)

    def _passed_over(self) -> list[uuid.UUID]:
        coming = self._coming.copy()  # others put questions aside while one looks
        return [deployment_id for deployment_id, made in coming.items() if not made.done()]

    def _answer(self, claimed: Preparation, lease: Lease) -> None:
        try:
            self._insist(partial(record, claimed, self._find_out(claimed, lease)))
        except GivenUp as given_up:
            logger.info("Question %s waits again: %s", claimed.pk, given_up)
            self._insist(partial(preparations.give_back, claimed))
        except ParentLost:
            logger.warning("The process that question %s was forked from was killed.", claimed.pk)
            self._insist(partial(preparations.take_back_lost, claimed, "The process of its code was killed"))
        except Exception:  # asked once more, it would only happen once more
            logger.exception("Question %s could not be answered.", claimed.pk)
            failure = _sentence(claimed, "the worker could not ask, and its log says why")
            self._insist(partial(record, claimed, Found(failure=failure)))
        finally:
            self._in_hand.discard(claimed.pk)
            with suppress(DatabaseError, InterfaceError):  # then housekeeping does it
                choices.settle_all()
                compiled_runs.settle_all()
            connections.close_all()

    def _find_out(self, claimed: Preparation, lease: Lease) -> Found:
        """Raises GivenUp, and ParentLost where nobody knows how it would have ended."""
        try:
            self._wait_for_environment(claimed)
            key = self._parent_key(claimed.deployment_id)
            end = self._watch(claimed, key, lease)
            if end.was_silent and not end.was_given_up and key.process is StepProcess.FORK:
                self._parents.avoid_forking(key, "a forked one was silent and was killed")
                end = self._watch(claimed, key, lease)
        except BuildStopped as error:
            raise GivenUp(f"{type(error).__name__}: {error}") from error
        except ImportFailed as error:
            return Found(failure=_sentence(claimed, str(error)), log=error.exception.traceback)
        except EnvironmentFailed as error:
            return Found(failure=_sentence(claimed, str(error)), log=error.log)
        except (OperationalError, InterfaceError) as error:
            connections.close_all()
            raise GivenUp(f"the database does not answer: {error}") from error
        except (ZenWebError, OSError, ValueError) as error:
            logger.exception("Question %s could not be asked.", claimed.pk)
            return Found(failure=_sentence(claimed, f"the worker could not ask: {error}"))
        if end.was_given_up:
            raise GivenUp("this worker might no longer hold it")
        if end.was_lost:
            raise ParentLost
        return _found(claimed, end)

    def _wait_for_environment(self, claimed: Preparation) -> None:
        """Raises GivenUp where it is still to be made, which may take minutes; other questions go on meanwhile."""
        coming = self._coming.pop(claimed.deployment_id, None)
        if coming is None:
            coming = self._environments.coming(plan_of(claimed.deployment_id).requirements)
        if coming is None:
            return
        try:
            coming.result(timeout=0)
        except TimeoutError as error:
            self._coming[claimed.deployment_id] = coming
            coming.add_done_callback(lambda _: self.wake())
            raise GivenUp("its environment is being made") from error

    def _watch(self, claimed: Preparation, key: ParentKey, lease: Lease) -> ChildEnd:
        limit = timedelta(seconds=_limit_of(claimed))
        order = compilation_for(claimed) if _is_compilation(claimed) else question_for(claimed)
        process = self._parents.fork(key, uuid.uuid4(), order, lease)
        try:
            close_old_connections()  # a pooled one goes back
            return process.watch(
                on_log=lambda _: None,
                on_metadata=lambda _: None,
                log_limit=LOG_LIMIT,
                timeout=limit,
                grace=timedelta(),
                silence=settings.CHILD_SILENCE,
            )
        finally:
            self._parents.give_back(process.parent)

    def _insist(self, write: Callable[[], object]) -> None:
        while True:
            try:
                write()
                return
            except (OperationalError, InterfaceError):
                logger.warning("What was found out could not be recorded yet.", exc_info=True)
                connections.close_all()
            if self._over.wait(RECORDING_PAUSE):
                return


def record(claimed: Preparation, found: Found) -> None:
    if found.compiled is not None:
        recorded = _record_compiled(claimed, found.compiled, found.log)
    elif found.options is not None:
        recorded = preparations.record_answer(claimed, found.options, found.log)
    else:
        recorded = preparations.record_failure(claimed, found.failure, found.log, found.blamed)
    if not recorded:
        logger.warning(
            "Question %s had been given to another worker; the answer is not recorded.", claimed.pk
        )


def _record_compiled(claimed: Preparation, compiled: Compiled, log: str) -> bool:
    again = CompiledAgain(compiled.spec, compiled.config_schema, compiled.config_template)
    base = PipelineDeployment.objects.get(pk=claimed.deployment_id)
    arguments = tuple((name, value) for name, value in claimed.arguments)
    question = CompileQuestion(claimed.deployment_id, claimed.queue, arguments)
    try:
        with transaction.atomic():
            recorded = preparations.record_compiled(claimed, log)
            if recorded:
                derive_deployment(base=base, parameters_key=question.parameters_key, compiled=again)
            return recorded
    except ValidationFailed as error:  # what no SDK of ours writes
        return preparations.record_failure(claimed, _sentence(claimed, str(error)), log)


def _is_compilation(claimed: Preparation) -> bool:
    return claimed.kind == PreparationKind.COMPILATION


def _limit_of(claimed: Preparation) -> float:
    """Seconds."""
    if _is_compilation(claimed):
        return COMPILE_LIMIT
    return choice_places(claimed.deployment_id)[claimed.step, claimed.parameter].rules.timeout


def _found(claimed: Preparation, end: ChildEnd) -> Found:
    printed = end.log.decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if end.is_completed and _is_compilation(claimed) and end.compiled is not None:
        return Found(compiled=end.compiled, log=printed)
    if end.is_completed and not _is_compilation(claimed):
        return Found(end.options or [], log=printed)
    raised = end.exception
    if end.timed_out:
        who = "it" if _is_compilation(claimed) else "the function that knows"
        reason = f"{who} took longer than its limit of {_limit_of(claimed):g} s"
        return Found(failure=_sentence(claimed, reason), log=printed)
    if raised is None or raised.type == "ProcessDied":
        failure = _sentence(claimed, "the process that was asked died")
        return Found(failure=failure, log=raised.message if raised else printed)
    if raised.parameter and _is_compilation(claimed):
        message = raised.message.removeprefix(f"{raised.parameter}: ")
        return Found(failure=message, blamed=raised.parameter.partition(".")[0], log=printed)
    reason = raised.message if raised.type in OURS else f"{raised.type}: {raised.message}"
    return Found(failure=_sentence(claimed, reason), log=printed)


def _sentence(claimed: Preparation, reason: str) -> str:
    end = "" if reason.endswith((".", "!", "?")) else "."
    what = "What may be chosen could not be found out"
    if _is_compilation(claimed):
        what = "The pipeline could not be put together with these parameters"
    return f"{what}: {reason}{end}"
