"""A worker process: it claims ready steps, has them run, records their ends, and shows that it lives."""

import gzip
import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connections
from django.db.models import F
from django.db.models.functions import Now

from runs_app import housekeeping, recording
from runs_app.assignments import assignment_for
from runs_app.awaiting import has_ready_step
from runs_app.code_folders import CodeFolders
from runs_app.environments import BuildStopped, EnvironmentFailed, Environments, NotThereYet
from runs_app.masking import mask_of
from runs_app.models import StepAttempt, Worker
from runs_app.plans import plan_of
from runs_app.preparers import Preparers
from runs_app.recording import StepOutcome
from runs_app.slots import Slots, Waits
from runs_app.step_tokens import server_access
from runs_app.step_users import isolate_steps
from runs_app.waiting_programs import WaitingPrograms
from runs_app.warm_parent import (
    AttemptProcess,
    Bounds,
    ChildEnd,
    ImportFailed,
    Lease,
    NotWanted,
    ParentKey,
    ParentLost,
    Upbringing,
)
from runs_app.warm_parents import WarmParents
from zenweb.artifacts import store
from zenweb.artifacts.store import ArtifactStoreError
from zenweb.enums import StepProcess
from zenweb.exceptions import SecretUnreadable, ZenWebError
from zenweb.execution.masking import Mask
from zenweb.execution.protocol import ServerAccess, StepException, Waiting, WaitsForRun
from zenweb.execution.step_user import StepUser, seal

logger = logging.getLogger(__name__)
FAREWELL = 1.0  # seconds that a thread may need to notice that all is over
T = TypeVar("T")
NOT_WARMED_UP = (ImportFailed, EnvironmentFailed, BuildStopped)
RECORDING_PAUSE = 0.5  # seconds between two tries to record an end while the database is away
STRAYS_PAUSE = 5.0  # seconds between two looks for steps that nobody here knows of
MOST_THREADS = 1000
STOP_PAUSE = 0.15  # seconds between two looks for attempts that shall end
STAND_IN_PAUSE = 0.3  # seconds between two looks for what to run in the slots of steps that wait


class GivenUp(Exception):
    """An attempt was ended because this worker might no longer hold its step."""


class StepWorker:
    """One per worker process; its slots are the threads that call `run_ready_steps`."""

    def __init__(self, *, name: str, queues: Iterable[str], slots: int) -> None:
        self.name, self.queues, self.slots = name, sorted(queues), slots
        self.row, self.lease = self._register()
        self.in_hand: set[uuid.UUID] = set()
        self._unwanted = set[uuid.UUID]()
        self.running: dict[uuid.UUID, AttemptProcess] = {}
        self._strays: set[uuid.UUID] = set()
        self._look_for_strays_at = 0.0
        isolation = isolate_steps()
        logger.info(isolation.sentence)
        self.user = isolation.user
        self.environments = Environments(self.queues, self._look_again, self.user)
        self.is_draining = False
        self.code = CodeFolders(_folder("code"))
        self.parents = WarmParents(
            Upbringing(
                lease=settings.PARENT_LEASE,
                environment=settings.STEP_ENVIRONMENT,
                scratch=own_scratch(self.user),
                log=_folder("logs") / "steps.log",
                bounds=Bounds(
                    number=settings.WARM_PARENTS,
                    memory=settings.WARM_PARENT_MEMORY,
                    idle=settings.WARM_PARENT_IDLE,
                    age=settings.WARM_PARENT_AGE,
                ),
                prove_code=self.code.prove,
                user=self.user,
            )
        )
        self.preparers = Preparers(
            queues=self.queues,
            identity=self._identity,
            parents=self.parents,
            environments=self.environments,
            parent_key=self._parent_key,
        )
        self._over = threading.Event()
        self._housekeeper = housekeeping.Housekeeper()
        self._rebirth = threading.Lock()
        self._warming = ThreadPoolExecutor(max_workers=1, thread_name_prefix="warming")
        self._places = Slots(slots)
        # Each step that waits for a run holds a thread; who stands in for it needs another.
        self._own_hands = ThreadPoolExecutor(max_workers=MOST_THREADS, thread_name_prefix="own-hands")
        self._helpers: list[Future[None]] = []
        self._heart = threading.Thread(target=self._beat, name="heart", daemon=True)
        self._standing_in = threading.Thread(target=self._stand_in, name="standing-in", daemon=True)
        self._schedules = threading.Thread(
            target=housekeeping.keep_schedules, args=[self._over], name="schedules", daemon=True
        )

    def start(self) -> None:
        self._heart.start()
        self._standing_in.start()
        self._schedules.start()
        self.preparers.start()
        logger.info("Worker %s serves %s with %d slots.", self.name, ", ".join(self.queues), self.slots)

    # -- work ----------------------------------------------------------------------------------------------------------

    def run_ready_steps(self, queue: str) -> int:
        """Claim and run steps of a queue until none is ready; how many that were. With all slots taken, none."""
        if not self._places.take():
            return 0
        done = 0
        try:
            while not self.is_draining and not self._places.is_overdrawn:
                row, lease = self._identity()
                if not lease.is_held or (attempt := self._claim(row, queue)) is None:
                    break
                self._run(attempt, lease)
                done += 1
        finally:
            self._places.give_back()
        return done

    def _claim(self, row: Worker, queue: str) -> StepAttempt | None:
        """The next step that can be run here; steps whose environment is not there yet are passed over."""
        while not self.is_draining:
            others = self.environments.passed_over()
            try:
                return recording.claim_ready_step(
                    row, queue, others, self.environments.check, only_children=self._has_too_many_waiting()
                )
            except NotThereYet as missing:
                with suppress(BuildStopped):  # then this worker is draining
                    self.environments.see_to(missing.run)
        return None

    def _look_again(self) -> None:
        """Steps that were passed over can be run now: nobody rings for them."""
        with suppress(RuntimeError):  # it is over
            for queue in self.queues:
                for _ in range(self.slots):
                    self._own_hands.submit(self._run_unrung, queue)

    def _help_itself(self) -> None:
        """Run what was rung for in vain: the broker is away for long, or Celery has lost its connection unnoticed."""
        self._helpers = [helper for helper in self._helpers if not helper.done()]
        for queue in self._housekeeper.unheard():
            for _ in range(self.slots - len(self._helpers)):
                self._helpers.append(self._own_hands.submit(self._run_unrung, queue))

    def _has_too_many_waiting(self) -> bool:
        """Each step that waits is a process: with very many, nothing is begun but what others may wait for."""
        return self._places.lent >= settings.MOST_WAITING_STEPS

    def _stand_in(self) -> None:
        """Run what is ready in the slots of steps that wait for runs: nobody else may hear the rings for it.

        Celery's threads are as many as the slots, and those that run these steps wait with them. In a thread of its
        own, for the heart must not wait for what it asks.
        """
        while not self._over.wait(STAND_IN_PAUSE):
            if not (self._places.lent and self._places.free) or self.is_draining:
                continue
            try:
                if has_ready_step(self.queues, only_children=self._has_too_many_waiting()):
                    self._look_for_work()
            except DatabaseError:
                logger.warning("The database does not answer; nobody stands in.", exc_info=True)
                connections.close_all()
            close_old_connections()  # a pooled one goes back
        connections.close_all()

    def _look_for_work(self) -> None:
        with suppress(RuntimeError):  # it is over
            for queue in self.queues:
                self._own_hands.submit(self._run_unrung, queue)

    def _run_unrung(self, queue: str) -> None:
        try:
            self.run_ready_steps(queue)
        except DatabaseError:
            logger.warning("The database does not answer; steps of queue %s wait.", queue, exc_info=True)
        finally:
            connections.close_all()

    def _identity(self) -> tuple[Worker, Lease]:
        with self._rebirth:
            return self.row, self.lease

    def _run(self, attempt: StepAttempt, lease: Lease) -> None:
        self.in_hand.add(attempt.pk)
        try:
            self._run_to_its_end(attempt, lease)
        finally:
            self.in_hand.discard(attempt.pk)
            self._unwanted.discard(attempt.pk)

    def _is_wanted(self, attempt: StepAttempt) -> bool:
        return attempt.pk not in self._unwanted

    def _run_to_its_end(self, attempt: StepAttempt, lease: Lease) -> None:
        try:
            recording.note_that_it_runs(attempt.step)
            outcome = self._execute(attempt, lease)
        except BuildStopped:  # its environment was removed after it was claimed, and is not made again
            why = "was shut down" if self.is_draining else "made its environment no more"
            self._insist(attempt, lambda: recording.give_back(attempt, f"worker {self.name} {why}", None))
            return
        except (GivenUp, ParentLost) as loss:
            reason = f"worker {self.name} stood still for longer than its lease"
            if isinstance(loss, ParentLost):
                reason = f"the process of worker {self.name} that it was forked from was killed"
            most: int | None = settings.MAX_WORKER_DEATHS
            if self.is_draining:  # it ends its processes itself, and that counts against no step
                reason, most = f"worker {self.name} was shut down", None
            self._insist(attempt, lambda: recording.give_back(attempt, reason, most))
            return
        except NotWanted:
            outcome = StepOutcome(was_stopped=True)
        except ImportFailed as error:
            outcome = StepOutcome(exception=error.exception, log_tail=error.exception.traceback)
        except EnvironmentFailed as error:
            outcome = StepOutcome(exception=error.exception, is_unprepared=True, log_tail=error.log)
        except (OperationalError, InterfaceError):
            # Only before its process was there: nothing of the step has run, so it is no failure of the step's.
            logger.warning("Attempt %s could not begin without the database.", attempt.pk, exc_info=True)
            connections.close_all()
            reason = f"the database did not answer worker {self.name} before the step began"
            self._insist(attempt, lambda: recording.give_back(attempt, reason, None))
            return
        except Exception as error:
            logger.exception("Attempt %s could not be run.", attempt.pk)
            outcome = StepOutcome(exception=_infrastructure_exception(error))
        self._record(attempt, outcome)

    def _execute(self, attempt: StepAttempt, lease: Lease) -> StepOutcome:
        server = server_access(attempt)
        try:
            mask = mask_of(attempt.step.parameters, attempt.step.run_id, *([server.token] if server else []))
        except SecretUnreadable as error:
            lost = StepException(type="SecretUnreadable", message=str(error), traceback="")
            return StepOutcome(exception=lost)
        key = self._parent_key(attempt.step.run.deployment_id, attempt)
        end = self._watch(attempt, key, lease, mask, server)
        if end.was_silent and not end.was_given_up and key.process is StepProcess.FORK:
            # Nothing of the step has run: the same attempt goes on in a process that was not forked.
            silence = f"{settings.CHILD_SILENCE.total_seconds():g}"
            self.parents.avoid_forking(key, f"a forked one was silent for {silence} s and was killed")
            end = self._watch(attempt, key, lease, mask, server)
        if end.was_given_up:
            raise GivenUp
        if end.was_lost:
            raise ParentLost
        return _outcome(attempt, end).masked(mask)

    def _watch(
        self, attempt: StepAttempt, key: ParentKey, lease: Lease, mask: Mask, server: ServerAccess | None
    ) -> ChildEnd:
        user = self.user.uid if self.user else os.geteuid()
        with self._folder_for_outputs(attempt), closing(WaitingPrograms(user)) as programs:
            return self._watch_process(attempt, key, lease, mask, server, programs)

    @contextmanager
    def _folder_for_outputs(self, attempt: StepAttempt) -> Iterator[None]:
        """Another user may write below it for as long as its attempt runs: what it made is nobody's to change.

        Some file systems let not even root give a folder away (NFS): then the step sees for itself how far it comes.
        """
        folder = store.local_folder(attempt.artifact_uri) if self.user else None
        if self.user is None or folder is None:
            yield
            return
        with _overlooking("given to steps", folder):
            self.user.give(folder)
        try:
            yield
        finally:
            with _overlooking("taken back from steps", folder):
                seal(folder)

    def _watch_process(
        self,
        attempt: StepAttempt,
        key: ParentKey,
        lease: Lease,
        mask: Mask,
        server: ServerAccess | None,
        programs: WaitingPrograms,
    ) -> ChildEnd:
        is_wanted = partial(self._is_wanted, attempt)
        if server is not None:
            server = server.model_copy(update={"waits": programs.name})
        process = self.parents.fork(key, attempt.id, assignment_for(attempt, server), lease, is_wanted)
        self.running[attempt.id] = process
        waits = Waits(self._places, partial(self._note_waiting, attempt))
        try:
            if reason := process.parent.instead_of_forking:
                sentence = f"Steps of this run get processes that import the code themselves: {reason}."
                _show(attempt, lambda it, told: recording.note_once([it.step.run_id], told), sentence)
            close_old_connections()  # a pooled one goes back: the step may take hours
            timeout = attempt.step.settings.get("timeout")
            return process.watch(
                on_log=lambda text: _show(attempt, recording.append_log, text),
                on_metadata=lambda noted: _show(attempt, recording.show_metadata, mask.value(noted)),
                on_waiting=waits.hear,
                programs=programs,
                on_look=waits.tell_again,
                mask=mask,
                log_limit=settings.LOG_LIMIT,
                timeout=timedelta(seconds=timeout) if timeout is not None else None,
                grace=settings.STOP_GRACE,
                silence=settings.CHILD_SILENCE,
            )
        finally:
            del self.running[attempt.id]
            waits.end()
            self.parents.give_back(process.parent)

    def _note_waiting(self, attempt: StepAttempt, event: Waiting, *, is_over: bool) -> bool | None:
        try:
            if isinstance(event, WaitsForRun):
                is_waiting = recording.begin_to_wait(attempt, event.run_id)
                if is_waiting:
                    self._look_for_work()
                return is_waiting
            recording.end_to_wait(attempt, event.run_id, is_over=is_over)
            return True
        except DatabaseError:
            logger.warning("What attempt %s waits for could not be noted yet.", attempt.pk, exc_info=True)
            connections.close_all()
            return None
        finally:
            close_old_connections()

    def _record(self, attempt: StepAttempt, outcome: StepOutcome) -> None:
        """A finished step is recorded, however long the database is away, as long as this worker counts as alive."""
        try:
            self._insist(attempt, lambda: recording.record_end(attempt, outcome))
        except DatabaseError as error:  # it will never be accepted as it is
            logger.exception("The end of attempt %s cannot be recorded as it came.", attempt.pk)
            refused = StepOutcome(exception=_infrastructure_exception(error), ended=outcome.ended)
            self._insist(attempt, lambda: recording.record_end(attempt, refused))

    def _insist(self, attempt: StepAttempt, write: Callable[[], bool]) -> None:
        while True:
            try:
                if not write():
                    logger.warning(
                        "Attempt %s had been given to another worker; its end is not recorded.", attempt.pk
                    )
                return
            except (OperationalError, InterfaceError):
                logger.exception("The end of attempt %s could not be recorded yet.", attempt.pk)
                connections.close_all()
            if self._over.is_set():
                return
            time.sleep(RECORDING_PAUSE)

    def warm_up(self, deployment_id: uuid.UUID) -> None:
        """Have a warm parent ready before a run asks for it: in the background, harmless whatever comes of it."""
        self._warming.submit(self._warm_up, deployment_id)

    def _warm_up(self, deployment_id: uuid.UUID) -> None:
        try:
            self.parents.warm_up(self._parent_key(deployment_id))
        except (*NOT_WARMED_UP, ObjectDoesNotExist, DatabaseError, ZenWebError, OSError) as error:
            logger.info("Deployment %s could not be warmed up: %s", deployment_id, error)
        finally:
            connections.close_all()

    def _parent_key(self, deployment_id: uuid.UUID, attempt: StepAttempt | None = None) -> ParentKey:
        plan = plan_of(deployment_id)
        python = self.environments.python_for(plan.requirements, attempt.step.run if attempt else None)
        asked = attempt.step.settings.get("process") if attempt else plan.process
        process = StepProcess(asked or settings.STEP_PROCESS)
        module = plan.spec.source.rpartition(".")[0]
        return ParentKey(self.code.folder_of(plan), module, python, process, plan.spec.imports_zenml)

    # -- life ----------------------------------------------------------------------------------------------------------

    def _register(self) -> tuple[Worker, Lease]:
        lease = Lease(time.monotonic() + settings.PARENT_LEASE.total_seconds())
        row = Worker.objects.create(
            name=self.name,
            hostname=socket.gethostname(),
            pid=os.getpid(),
            queues=self.queues,
            slots=self.slots,
        )
        return row, lease

    def _beat(self) -> None:
        pause = settings.HEARTBEAT_INTERVAL.total_seconds() / 2
        next_beat = time.monotonic() + pause
        # Whoever stops a run waits for it: while something runs, the worker looks for that more often than it beats.
        while not self._over.wait(min(STOP_PAUSE, pause) if self.in_hand else pause):
            try:
                if time.monotonic() < next_beat:
                    self._stop_what_shall_end()
                    continue
                next_beat = time.monotonic() + pause
                self._live_on()
            except DatabaseError:
                # No beat, no ping: if this lasts for a lease, the warm parents end what runs, and others take over.
                logger.warning("The database does not answer; no heartbeat.", exc_info=True)
                connections.close_all()
            except Exception:
                logger.exception("The heartbeat failed.")
        connections.close_all()  # what a thread keeps of the pool is lost to the others

    def _live_on(self) -> None:
        # From before the beat, so that it ends before anybody can have waited for one lease after it.
        until = time.monotonic() + settings.PARENT_LEASE.total_seconds()
        news = {"updated": Now(), "making": self.environments.told()}
        if not Worker.objects.filter(pk=self.row.pk, is_alive=True).update(beat=F("beat") + 1, **news):
            self._start_over()
            return
        self.lease.until = until
        self.parents.ping(self.lease)
        self._stop_what_shall_end()
        self._give_back_strays()
        self.preparers.give_back_strays(self.row)
        self.parents.tidy_up()
        self.environments.tend()
        self.environments.tidy_up({parent.key.python for parent in self.parents.all()})
        self._housekeeper.tidy_up(self.row, self.queues)
        self._help_itself()
        for deployment_id in self._housekeeper.newly_registered(self.queues):
            self.warm_up(deployment_id)

    def _stop_what_shall_end(self) -> None:
        for attempt_id in recording.attempts_to_stop(self.row):
            process = self.running.get(attempt_id)
            if process is None and attempt_id in self.in_hand:  # its code is being imported
                self._unwanted.add(attempt_id)
            elif process is not None and not process.was_stopped:
                process.stop(settings.STOP_GRACE)

    def _give_back_strays(self) -> None:
        """Steps that this worker was given without hearing of it: the database went away while it answered a claim."""
        if time.monotonic() < self._look_for_strays_at:
            return
        self._look_for_strays_at = time.monotonic() + STRAYS_PAUSE
        held = {attempt.pk: attempt for attempt in recording.open_attempts(self.row)}
        strays = held.keys() - self.in_hand
        for pk in strays & self._strays:  # seen twice: it was not just about to be taken in hand
            recording.give_back(held[pk], f"worker {self.name} was never told that it had the step", None)
        self._strays = strays

    def _start_over(self) -> None:
        """Others gave this worker up and took its steps: end what still runs here and begin as a new worker."""
        logger.warning("Worker %s was declared dead by others; it starts over.", self.name)
        self.lease.until = 0.0
        self.parents.end_all()
        row, lease = self._register()
        with self._rebirth:
            self.row, self.lease = row, lease

    def shut_down(self) -> None:
        """Take nothing new, let running steps finish within a limit, and give back the rest at once."""
        self.is_draining = True
        self.preparers.stop()
        self.environments.interrupt()
        deadline = time.monotonic() + settings.SHUTDOWN_LIMIT.total_seconds()
        while self.running and time.monotonic() < deadline:
            time.sleep(0.05)
        self._over.set()
        for crew in (self._warming, self._own_hands):
            crew.shutdown(wait=False, cancel_futures=True)
        # In this order: nobody may start a step again while what runs here still lives.
        self.lease.until = 0.0
        self.parents.end_all()
        self.environments.close()
        recording.bury_worker(self.row, "was shut down", most_deaths=None)
        shutil.rmtree(_folder(f"scratch/{os.getpid()}"), ignore_errors=True)
        self.preparers.join(FAREWELL)
        for thread in (self._heart, self._standing_in, self._schedules):
            if thread.is_alive():
                thread.join(FAREWELL)


@contextmanager
def _overlooking(deed: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logger.warning("The folder %s cannot be %s: %s", folder, deed, error)


def _outcome(attempt: StepAttempt, end: ChildEnd) -> StepOutcome:
    exception = end.exception
    if end.timed_out and not end.is_completed:
        limit = attempt.step.settings["timeout"]
        exception = StepException(
            type="Timeout", message=f"It took longer than its limit of {limit} s.", traceback=""
        )
    return StepOutcome(
        outputs=end.outputs,
        exception=None if end.is_completed or end.was_stopped else exception,
        metadata=end.metadata,
        run_metadata=end.run_metadata,
        was_stopped=end.was_stopped and not end.is_completed,
        log_uri=_store_log(attempt, end.log),
        was_shown_live=end.was_shown_live,
        started_at=end.started_at,
        ended=end.ended,
        log_tail=end.log[-recording.LOG_TAIL :]
        .decode("utf-8", "replace")
        .replace("\x00", "\N{REPLACEMENT CHARACTER}"),
    )


def _store_log(attempt: StepAttempt, log: bytes) -> str:
    if not log:
        return ""
    uri = f"{attempt.artifact_uri}/log.txt.gz"
    try:
        store.write_bytes(uri, gzip.compress(log, compresslevel=6, mtime=0))
    except ArtifactStoreError:  # what the step did is not undone by that, nor is its own reason hidden
        logger.warning("The log of attempt %s could not be stored.", attempt.pk, exc_info=True)
        return ""
    return uri


def _show(attempt: StepAttempt, show: Callable[[StepAttempt, T], None], news: T) -> None:
    try:
        show(attempt, news)
    except DatabaseError:
        logger.warning("What attempt %s has to tell could not be shown live.", attempt.pk, exc_info=True)
        connections.close_all()
    close_old_connections()


def _infrastructure_exception(error: Exception) -> StepException:
    return StepException(
        type=type(error).__name__, message=f"The worker could not run it: {error}", traceback=""
    )


def _folder(name: str) -> Path:
    folder: Path = settings.DATA_DIR / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def own_scratch(user: StepUser | None) -> Path:
    """A folder of this process's own, and of whom its steps run as; those of workers that are gone are removed.

    So is one of this process's number: in a container each worker has the same, and its steps may have put links there.
    """
    for folder in _folder("scratch").iterdir():
        is_alive = folder.name.isdecimal() and psutil.pid_exists(int(folder.name))
        if not is_alive or folder.name == str(os.getpid()):
            shutil.rmtree(folder, ignore_errors=True)
    scratch = _folder(f"scratch/{os.getpid()}")
    if user is not None:
        user.own_folder(scratch / "home")
        user.own_folder(scratch)
    return scratch
