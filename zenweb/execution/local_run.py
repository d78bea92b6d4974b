"""Executes a run of the local stack in the caller's own process and reports every step to the server."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import UUID

from zenweb.artifacts import materializers, store
from zenweb.config.file_references import clean_name
from zenweb.config.source import import_source
from zenweb.config.spec import PipelineSpec
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import RunStopped, ServerBusy, ServerUnreachable, ValidationFailed, ZenWebError
from zenweb.execution.attempt_log import AttemptLog, printing_also_into
from zenweb.execution.live_report import Listener, LiveReport
from zenweb.execution.protocol import Assignment, Event, Failed, MetadataNoted, OutputSaved, noted_in
from zenweb.execution.runner import describe, run_attempt
from zenweb.steps import Step

logger = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds without a server, until a run that cannot be reported on is given up
PAUSE = 1.0  # seconds before the server is asked again
T = TypeVar("T")


class Reporter(Listener, Protocol):
    """The part of the client that reports on a run."""

    def start_step(self, run_id: UUID, step_name: str) -> dict[str, Any] | None: ...
    def end_step(self, run_id: UUID, step_name: str, end: dict[str, Any]) -> float | None: ...
    def stop_run(self, run_id: UUID) -> None: ...
    def download_file(self, artifact_version_id: UUID, target: Path) -> None: ...


def execute_local_run(
    reporter: Reporter, run_id: UUID, spec: PipelineSpec, artifact_folder: str
) -> BaseException | None:
    """Run every step in order; steps that need a failed one are left out. What the first failure raised is returned.

    Raises RunStopped when somebody asked the run to stop or the server gave it up, KeyboardInterrupt after telling the
    server of it, and ServerUnreachable when the run cannot be recorded any more.
    """
    with LiveReport(reporter, run_id) as live:
        run = _LocalRun(reporter, run_id, artifact_folder, live)
        try:
            return run.execute(spec)
        except KeyboardInterrupt:
            run.stop()
            if live.is_to_stop:  # that is how the step was told
                raise RunStopped from None
            raise


@dataclass
class _Attempt:
    """What has happened in it so far."""

    assignment: Assignment
    events: list[Event] = field(default_factory=list)
    log: AttemptLog = field(default_factory=AttemptLog)

    @property
    def step_name(self) -> str:
        return self.assignment.step_name

    def end(self, *, is_stopped: bool = False) -> dict[str, Any]:
        """As the server is told of it."""
        failed = next((event.exception for event in self.events if isinstance(event, Failed)), None)
        status = ExecutionStatus.FAILED if failed else ExecutionStatus.COMPLETED
        rest = self.log.rest()
        return {
            "attempt": self.assignment.attempt,
            "status": ExecutionStatus.STOPPED if is_stopped else status,
            "outputs": [
                {"name": event.name, **event.artifact.model_dump(exclude={"version"})}
                for event in self.events
                if isinstance(event, OutputSaved)
            ],
            "exception": failed.model_dump(exclude={"version"}) if failed else None,
            "piece": rest.number,
            "log": rest.text,
            **{f"{about}_metadata": values for about, values in noted_in(self.events).items()},
        }


class _LocalRun:
    def __init__(self, reporter: Reporter, run_id: UUID, artifact_folder: str, live: LiveReport) -> None:
        self._reporter, self._run_id, self._live = reporter, run_id, live
        self._artifact_folder = artifact_folder
        self._attempt: _Attempt | None = None
        """The one that has begun and was not told to have ended."""

    def execute(self, spec: PipelineSpec) -> BaseException | None:
        first_failure: BaseException | None = None
        left_out: set[str] = set()
        for step in spec.steps:
            if left_out & set(step.upstream):
                left_out.add(step.name)
                continue
            error = self._run_mapped(step.name) if step.is_mapped else self._run_step(step.name)
            if error is not None:
                first_failure = error if first_failure is None else first_failure
                left_out.add(step.name)
                if not self._goes_on():
                    break  # it stops at the first failure
        return first_failure

    def stop(self) -> None:
        """Tell that the run stops here, with the step that runs. Nobody waits for a server that is away."""
        try:
            self._reporter.stop_run(self._run_id)
            if self._attempt is not None:
                self._tell_again(self._attempt)
                self._reporter.end_step(
                    self._run_id, self._attempt.step_name, self._attempt.end(is_stopped=True)
                )
        except ZenWebError as error:
            logger.warning("The server could not be told that the run stops: %s", error)

    def _run_mapped(self, step_name: str) -> BaseException | None:
        """Run a step once for each element, in their order; what the first that failed has raised."""
        first_failure: BaseException | None = None
        while (assignment := self._start(step_name)) is not None:
            error = self._run_to_its_end(assignment)
            if error is not None:
                first_failure = error if first_failure is None else first_failure
                if not self._goes_on():
                    break
        return first_failure

    def _run_step(self, step_name: str) -> BaseException | None:
        assignment = self._start(step_name)
        return None if assignment is None else self._run_to_its_end(assignment)

    def _run_to_its_end(self, assignment: Assignment) -> BaseException | None:
        """Run a step until it completes or is not to be tried again; what its last attempt raised."""
        attempt: Assignment | None = assignment
        while attempt is not None:
            error, retry_after = self._run_attempt(attempt)
            if retry_after is None:
                return error
            self._wait(retry_after)
            attempt = self._start(assignment.step_name)
        return None

    def _run_attempt(self, assignment: Assignment) -> tuple[BaseException | None, float | None]:
        self._attempt = attempt = _Attempt(assignment)
        error = self._execute(attempt)
        if isinstance(error, KeyboardInterrupt):
            raise error
        self._insist(lambda: self._tell_again(attempt))
        end = attempt.end()
        retry_after = self._insist(lambda: self._reporter.end_step(self._run_id, assignment.step_name, end))
        self._attempt = None
        return error, retry_after

    def _tell_again(self, attempt: _Attempt) -> None:
        """A piece of the log whose answer was lost: it goes before the rest, or what follows would not be next."""
        piece = attempt.log.handed_out
        if piece is not None:
            told = {"attempt": attempt.assignment.attempt, "piece": piece.number, "log": piece.text}
            self._reporter.report_progress(self._run_id, attempt.step_name, told)
            attempt.log.told(piece)

    def _start(self, step_name: str) -> Assignment | None:
        """What is to be run next of it; None: nothing (any more)."""
        self._check_goes_on()
        try:
            given = self._insist(lambda: self._reporter.start_step(self._run_id, step_name))
        except ValidationFailed:
            if self._goes_on():
                raise
            raise RunStopped from None
        return _placed(Assignment.model_validate(given), self._artifact_folder) if given else None

    def _execute(self, attempt: "_Attempt") -> BaseException | None:
        telling = self._live.telling(attempt.step_name, attempt.assignment.attempt, attempt.log)
        printing = printing_also_into(attempt.log, but_not_of=self._live.thread)
        with store.temporary_folder() as folder, printing, telling as live:

            def emit(event: Event) -> None:
                attempt.events.append(event)
                if isinstance(
                    event, Failed
                ):  # into the log alone: the terminal gets it from whoever raises it
                    attempt.log.write(event.exception.traceback)
                if isinstance(event, MetadataNoted):
                    live.note(noted_in(attempt.events).get("step", {}))

            try:
                assignment = _with_files_at_hand(self._reporter, attempt.assignment, folder)
            except ZenWebError as failure:
                emit(Failed(exception=describe(failure)))
                return failure
            return run_attempt(import_source(assignment.source, Step), assignment, emit, is_timed=False)

    def _goes_on(self) -> bool:
        return self._insist(lambda: self._reporter.renew_lease(self._run_id))

    def _check_goes_on(self) -> None:
        if self._live.is_to_stop:
            raise RunStopped

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._check_goes_on()
            time.sleep(min(left, PAUSE))

    def _insist(self, tell: Callable[[], T]) -> T:
        """A server that restarts is waited for: what was computed shall not be lost for that."""
        gives_up_at: float | None = None
        while True:
            try:
                return tell()
            except (ServerUnreachable, ServerBusy) as error:
                if gives_up_at is None:
                    gives_up_at = time.monotonic() + PATIENCE
                    logger.warning("%s The run waits for up to %d s.", error, PATIENCE)
                elif time.monotonic() >= gives_up_at:
                    raise
            time.sleep(PAUSE)


def _placed(assignment: Assignment, artifact_folder: str) -> Assignment:
    """A stack without a store of its own leaves artifacts with whoever executes."""
    if assignment.artifact_uri.startswith("/") or "://" in assignment.artifact_uri:
        return assignment
    return assignment.model_copy(
        update={"artifact_uri": store.join(artifact_folder, assignment.artifact_uri)}
    )


def _with_files_at_hand(reporter: Reporter, assignment: Assignment, folder: Path) -> Assignment:
    """Uploads lie where the server keeps them: what cannot be reached from here is fetched through it."""
    files = dict(assignment.files)
    for name, given in assignment.files.items():
        if given.file_name and not _is_here(given.uri):
            uri = str(folder / str(given.id))
            target = Path(materializers.files.address_for(uri, clean_name(given.file_name)))
            target.parent.mkdir(parents=True)
            reporter.download_file(given.id, target)
            files[name] = given.model_copy(update={"uri": uri})
    return assignment.model_copy(update={"files": files}) if files else assignment


def _is_here(uri: str) -> bool:
    try:
        return store.exists(uri)
    except store.ArtifactStoreError:  # of a kind or in a place that this machine knows nothing of
        return False
