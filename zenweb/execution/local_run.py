"""Executes a run of the local stack in the caller's own process and reports every step to the server."""

import io
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, Protocol, TextIO
from uuid import UUID

from zenweb.artifacts import materializers, store
from zenweb.config.file_references import clean_name
from zenweb.config.source import import_source
from zenweb.config.spec import PipelineSpec
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import ServerUnreachable, ZenWebError
from zenweb.execution.protocol import Assignment, Event, Failed, OutputSaved, noted_in
from zenweb.execution.runner import describe, run_attempt
from zenweb.steps import Step

LEASE_INTERVAL = 5.0  # seconds; the server gives a caller up after several of these
LOG_LIMIT = 1_000_000


class Reporter(Protocol):
    """The part of the client that reports on a run."""

    def start_step(self, run_id: UUID, step_name: str) -> dict[str, Any]: ...
    def end_step(self, run_id: UUID, step_name: str, end: dict[str, Any]) -> float | None: ...
    def renew_lease(self, run_id: UUID) -> bool: ...
    def stop_run(self, run_id: UUID) -> None: ...
    def download_file(self, artifact_version_id: UUID, target: Path) -> None: ...


def execute_local_run(reporter: Reporter, run_id: UUID, spec: PipelineSpec, artifact_folder: str) -> None:
    """Run every step in order; steps that need a failed one are left out. Then raise what the first failure raised."""
    failures: dict[str, BaseException] = {}
    left_out: set[str] = set()
    with _lease(reporter, run_id):
        for step in spec.steps:
            if left_out & set(step.upstream):
                left_out.add(step.name)
                continue
            error = _run_step(reporter, run_id, step.name, artifact_folder)
            if isinstance(error, KeyboardInterrupt):
                reporter.stop_run(run_id)
                raise error
            if error is not None:
                failures[step.name] = error
                left_out.add(step.name)
                if not reporter.renew_lease(run_id):
                    break  # it stops at the first failure
    if failures:
        raise next(iter(failures.values()))


def _run_step(reporter: Reporter, run_id: UUID, step_name: str, artifact_folder: str) -> BaseException | None:
    """Run a step until it completes or is not to be tried again; what its last attempt raised."""
    while True:
        error, retry_after = _run_attempt(reporter, run_id, step_name, artifact_folder)
        if retry_after is None or isinstance(error, KeyboardInterrupt):
            return error
        time.sleep(retry_after)


def _run_attempt(
    reporter: Reporter, run_id: UUID, step_name: str, artifact_folder: str
) -> tuple[BaseException | None, float | None]:
    assignment = _placed(Assignment.model_validate(reporter.start_step(run_id, step_name)), artifact_folder)
    events: list[Event] = []
    error: BaseException | None
    with store.temporary_folder() as folder, _printing_also_into_log() as log:
        try:
            assignment = _with_files_at_hand(reporter, assignment, folder)
        except ZenWebError as failure:
            error = failure
            events.append(Failed(exception=describe(error)))
        else:
            step = import_source(assignment.source, Step)
            error = run_attempt(step, assignment, events.append, is_timed=False)
    return error, reporter.end_step(run_id, step_name, _end(assignment, events, log.getvalue()))


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


def _end(assignment: Assignment, events: list[Event], log: str) -> dict[str, Any]:
    failed = next((event.exception for event in events if isinstance(event, Failed)), None)
    return {
        "attempt": assignment.attempt,
        "status": ExecutionStatus.FAILED if failed else ExecutionStatus.COMPLETED,
        "outputs": [
            {"name": event.name, **event.artifact.model_dump(exclude={"version"})}
            for event in events
            if isinstance(event, OutputSaved)
        ],
        "exception": failed.model_dump(exclude={"version"}) if failed else None,
        "log": log[-LOG_LIMIT:],
        **{f"{about}_metadata": values for about, values in noted_in(events).items()},
    }


@contextmanager
def _lease(reporter: Reporter, run_id: UUID) -> Iterator[None]:
    """Keep telling the server that this process lives, for as long as the run lasts."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(LEASE_INTERVAL):
            with suppress(ServerUnreachable):  # it may be back for the next one
                reporter.renew_lease(run_id)

    thread = threading.Thread(target=renew, name="zenweb-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


class _Tee(io.StringIO):
    """Keeps what is printed, and prints it."""

    def __init__(self, log: io.StringIO, stream: TextIO) -> None:
        super().__init__()
        self._log, self._stream = log, stream

    def write(self, text: str) -> int:
        self._log.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


@contextmanager
def _printing_also_into_log() -> Iterator[io.StringIO]:
    log = io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(_Tee(log, sys.stdout)))
        stack.enter_context(redirect_stderr(_Tee(log, sys.stderr)))
        yield log
