"""The statements that every step of every run goes through, as SQL.

Building them anew from the ORM costs several times what they take to run (docs/decisions/0005). They are for
recording, caching and assignments; whatever happens less often than once per step stays with the ORM.
"""

import json
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db import connection

from runs_app.querysets import MOST_SKEW
from zenweb.enums import ExecutionStatus
from zenweb.execution.protocol import InputArtifact, StoredArtifact

NEXT_RUN = "UPDATE templates_app_pipeline SET run_count = run_count + 1 WHERE id = %s RETURNING run_count"
NAME_TAKEN = "SELECT 1 FROM runs_app_pipelinerun WHERE project_id = %s AND name = %s"
START_RUN = """
    UPDATE runs_app_pipelinerun SET status = 'running', start_time = %s, updated = %s
    WHERE id = %s AND status = 'initializing'
"""
# A run none of whose steps is open, with the first step that failed, and its template if that limits its runs. That a
# mapped step failed with its elements is told by those.
RUN_AT_ITS_END = """
    SELECT run.has_timed_out, run.timeout, run.stop_requested_at, run.status_reason, limiting.id, run.queued_at,
        failed.name, failed.status_reason,
        (SELECT COUNT(*) FROM runs_app_steprun WHERE run_id = run.id AND status = 'failed' AND elements IS NULL)
    FROM runs_app_pipelinerun run
    LEFT JOIN templates_app_runtemplate limiting
        ON limiting.id = run.template_id AND limiting.max_concurrent_runs IS NOT NULL
    LEFT JOIN runs_app_steprun failed ON failed.id = (
        SELECT id FROM runs_app_steprun
        WHERE run_id = run.id AND status = 'failed' AND elements IS NULL
        ORDER BY end_time LIMIT 1
    )
    WHERE run.id = %s AND NOT EXISTS (
        SELECT 1 FROM runs_app_steprun WHERE run_id = run.id AND status NOT IN {finished}
    )
"""
END_RUN = """
    UPDATE runs_app_pipelinerun
    SET status = %s, status_reason = %s, start_time = COALESCE(start_time, created), end_time = %s, updated = %s,
        caller_beat = NULL, queued_at = NULL
    WHERE id = %s AND status NOT IN {finished}
"""
TO_STOP = """
    SELECT attempt.id
    FROM runs_app_steprun step
    JOIN runs_app_pipelinerun run ON run.id = step.run_id
    JOIN runs_app_stepattempt attempt ON attempt.step_id = step.id
    WHERE step.worker_id = %s AND step.status IN ('running', 'stopping')
        AND (step.status = 'stopping' OR run.stop_requested_at IS NOT NULL)
        AND attempt.status IN ('running', 'stopping')
"""
# The worker first: whoever declares it dead waits for this claim and finds it, or this claim finds the worker dead.
CLAIM = """
    UPDATE runs_app_steprun
    SET attempt = attempt + 1, ready_at = NULL, delayed_until = NULL, waiting_since = NULL, worker_id = %s,
        status = 'running', status_reason = '', start_time = %s, updated = %s
    WHERE id = (
        SELECT id FROM runs_app_steprun
        WHERE ready_at IS NOT NULL AND queue = %s
            AND (delayed_until IS NULL OR delayed_until <= %s OR ready_at > %s) {passing_over} {only_children}
        ORDER BY priority DESC, ready_at, "index"
        LIMIT 1 {step_lock}
    ) AND EXISTS (SELECT 1 FROM runs_app_worker WHERE id = %s AND is_alive {worker_lock}) {limit}
    RETURNING id, run_id, "index", name, attempt, CAST(parameters AS TEXT), CAST(settings AS TEXT),
        CAST(downstream AS TEXT), failures, worker_deaths, queue, mapped_index, element
"""
# Of a queue that runs only so many steps at once, one worker after the other takes one, so that each counts all others.
HOLD_QUEUE = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
HAS_PLACE = """AND (
        SELECT COUNT(*) FROM runs_app_steprun taken
        WHERE taken.queue = %s AND taken.worker_id IS NOT NULL AND taken.status IN ('running', 'stopping')
            AND taken.waiting_since IS NULL
    ) < %s"""
# What this worker cannot run yet is left to others.
PASSING_OVER = """AND NOT EXISTS (
            SELECT 1 FROM runs_app_pipelinerun run
            WHERE run.id = runs_app_steprun.run_id AND run.deployment_id IN ({places})
        )"""
# A worker in which very many steps wait takes what others may wait for, and nothing else.
ONLY_CHILDREN = """AND EXISTS (
            SELECT 1 FROM runs_app_pipelinerun child
            WHERE child.id = runs_app_steprun.run_id AND child.parent_step_id IS NOT NULL
        )"""
START_ATTEMPT = """
    INSERT INTO runs_app_stepattempt (id, created, updated, step_id, number, worker_id, status, reason,
        start_time, artifact_uri, log_uri, log_tail)
    VALUES (%s, %s, %s, %s, %s, %s, 'running', '', %s, %s, '', '')
"""
HELD_DEPLOYMENT = "SELECT 1 FROM templates_app_pipelinedeployment WHERE id = %s {lock}"
RUN_FOR_END = "SELECT stop_requested_at FROM runs_app_pipelinerun WHERE id = %s {lock}"
# One that is stopped goes on telling that it waited: what it waited for is to be stopped, too.
END_STEP = """
    UPDATE runs_app_steprun
    SET status = %s, status_reason = %s, start_time = COALESCE(%s, start_time), end_time = %s, updated = %s,
        ready_at = NULL, delayed_until = NULL, worker_id = NULL, failures = failures + %s, exception = %s,
        metadata = %s, waiting_since = {waiting_since}
    WHERE id = %s AND attempt = %s AND status IN ('running', 'stopping')
"""
END_ATTEMPT = """
    UPDATE runs_app_stepattempt
    SET status = %s, reason = %s, start_time = COALESCE(%s, start_time), end_time = %s, updated = %s,
        log_uri = %s, log_tail = %s
    WHERE id = %s
"""
NEXT_VERSION = """
    INSERT INTO runs_app_artifact (id, created, updated, project_id, user_id, name, version_count)
    VALUES (%s, %s, %s, %s, %s, %s, 1)
    ON CONFLICT (project_id, name) DO UPDATE SET version_count = runs_app_artifact.version_count + 1
    RETURNING id, version_count
"""
ADD_VERSION = """
    INSERT INTO runs_app_artifactversion (id, created, updated, project_id, user_id, artifact_id, version, uri, type,
        materializer, data_type, metadata, preview, length, value, producer_step_id)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
ADD_OUTPUT = "INSERT INTO runs_app_stepoutput (step_id, name, artifact_version_id) VALUES (%s, %s, %s)"
RELEASE = """
    UPDATE runs_app_steprun
    SET waits_for = waits_for - %s, ready_at = CASE WHEN waits_for = %s THEN %s ELSE ready_at END, updated = %s
    WHERE run_id = %s AND "index" IN ({places}) AND status NOT IN {finished}
    RETURNING waits_for, id, "index", name, queue, CAST(parameters AS TEXT), CAST(settings AS TEXT),
        CAST(downstream AS TEXT), mapped_index, element, elements
"""
# Notes the keys and finds what completed with the same ones. The condition is the one of the index, word for word.
REMEMBER_KEYS = """
    UPDATE runs_app_steprun
    SET cache_key = given.column2
    FROM (VALUES {places}) AS given
    WHERE runs_app_steprun.id = given.column1
    RETURNING runs_app_steprun.id, (
        SELECT earlier.id FROM runs_app_steprun earlier
        WHERE earlier.cache_key = runs_app_steprun.cache_key
            AND earlier.cache_key > '' AND earlier.status = 'completed'
        ORDER BY earlier.end_time DESC
        LIMIT 1
    )
"""
COMPLETED_WITH = """
    SELECT given.column1, (
        SELECT earlier.id FROM runs_app_steprun earlier
        WHERE earlier.cache_key = given.column1
            AND earlier.cache_key > '' AND earlier.status = 'completed'
        ORDER BY earlier.end_time DESC
        LIMIT 1
    )
    FROM (VALUES {places}) AS given
"""
VERSIONS_OF = "SELECT step_id, name, artifact_version_id FROM runs_app_stepoutput WHERE step_id IN ({places})"
# With what the step noted that it stands for; found as its outputs were.
END_CACHED = """
    UPDATE runs_app_steprun
    SET status = 'cached', status_reason = %s, start_time = %s, end_time = %s, updated = %s, ready_at = NULL,
        metadata = COALESCE((
            SELECT earlier.metadata FROM runs_app_steprun earlier
            WHERE earlier.cache_key = runs_app_steprun.cache_key
                AND earlier.cache_key > '' AND earlier.status = 'completed'
            ORDER BY earlier.end_time DESC
            LIMIT 1
        ), metadata)
    WHERE id IN ({places})
"""
# With the elements of mapped steps, in their order.
OUTPUTS_OF = """
    SELECT step.name, step.mapped_index, output.name, version.id, artifact.name, version.version, version.uri,
        version.materializer, version.data_type, version.type
    FROM runs_app_stepoutput output
    JOIN runs_app_steprun step ON step.id = output.step_id
    JOIN runs_app_artifactversion version ON version.id = output.artifact_version_id
    JOIN runs_app_artifact artifact ON artifact.id = version.artifact_id
    WHERE step.run_id = %s AND ({chosen})
    ORDER BY step.element
"""
FINISHED = "('completed', 'failed', 'cached', 'retried', 'stopped')"
MOST_PLACES = 500  # well below what any database allows in one statement
T = TypeVar("T")


@dataclass(frozen=True)
class ClaimedStep:
    """The row of a step that was just claimed."""

    id: uuid.UUID
    run_id: uuid.UUID
    index: int
    name: str
    attempt: int
    parameters: Any
    settings: Any
    downstream: Any
    failures: int
    worker_deaths: int
    queue: str
    mapped_index: int | None = None
    element: int | None = None


@dataclass(frozen=True)
class RunAtItsEnd:
    """What decides how a run ends that has no open step."""

    has_timed_out: bool
    timeout: float | None
    is_stopped: bool
    status_reason: str
    limited_by: uuid.UUID | None
    """The template, if it runs only so many at once."""
    was_queued: bool
    failed_step: str | None
    """The first one, and why it failed:"""
    failure: str | None
    failed_steps: int


@dataclass(frozen=True)
class ReadyStep:
    """A step that waits for no other any more."""

    id: uuid.UUID
    index: int
    name: str
    queue: str
    parameters: Any
    settings: Any
    downstream: Any
    mapped_index: int | None = None
    element: int | None = None
    elements: int | None = None

    @property
    def spec_index(self) -> int:
        """The place of what it runs in the pipeline's spec."""
        return self.index if self.mapped_index is None else self.mapped_index


@dataclass(frozen=True)
class GivenOut:
    """What steps of a run gave out."""

    single: Mapping[tuple[str, str], InputArtifact]
    """By step and output; a run of a mapped step is a step, too."""
    lists: Mapping[tuple[int, str], list[InputArtifact]]
    """What the runs of mapped steps gave out, in their order, by the step's index and the output."""


def next_run_index(pipeline_id: uuid.UUID) -> int:
    """Count one more run of the pipeline."""
    return int(_execute(NEXT_RUN, _key(pipeline_id))[0][0])


def is_run_name_taken(project_id: uuid.UUID, name: str) -> bool:
    return bool(_execute(NAME_TAKEN, _key(project_id), name))


def start_run(run_id: uuid.UUID, start_time: datetime, now: datetime) -> None:
    """A run that has not begun runs."""
    _execute(START_RUN, _time(start_time), _time(now), _key(run_id))


def run_at_its_end(run_id: uuid.UUID) -> RunAtItsEnd | None:
    """None while a step of the run is open."""
    rows = _execute(RUN_AT_ITS_END.format(finished=FINISHED), _key(run_id))
    if not rows:
        return None
    has_timed_out, timeout, stop_requested_at, reason, template_id, queued_at, step, failure, failed = rows[0]
    return RunAtItsEnd(
        has_timed_out=bool(has_timed_out),
        timeout=timeout,
        is_stopped=stop_requested_at is not None,
        status_reason=reason,
        limited_by=_uuid(template_id) if template_id else None,
        was_queued=queued_at is not None,
        failed_step=step,
        failure=failure,
        failed_steps=failed,
    )


def end_run(run_id: uuid.UUID, *, status: ExecutionStatus, reason: str, now: datetime) -> bool:
    """False when it had ended before."""
    moment = _time(now)
    statement = END_RUN.format(finished=FINISHED)
    return _execute_counting(statement, status.value, reason, moment, moment, _key(run_id)) == 1


def attempts_to_stop(worker_id: uuid.UUID) -> list[uuid.UUID]:
    """Open attempts of a worker whose step or run was asked to stop."""
    return [_uuid(attempt_id) for (attempt_id,) in _execute(TO_STOP, _key(worker_id))]


def claim_step(
    *,
    worker_id: uuid.UUID,
    queue: str,
    now: datetime,
    most: int | None = None,
    passing_over: Collection[uuid.UUID] = (),
    only_children: bool = False,
) -> ClaimedStep | None:
    """The most urgent ready step of the queue, for this worker; None also while `most` steps of the queue run.

    Steps of the deployments in `passing_over` stay where they are; `only_children`: and those of runs that no step has
    started.
    """
    if most is not None and connection.vendor == "postgresql":
        _execute(HOLD_QUEUE, f"zenweb queue {queue}")
    limit, limits = ("", ()) if most is None else (HAS_PLACE, (queue, most))
    others = list(map(_key, passing_over))
    statement = CLAIM.format(
        passing_over=PASSING_OVER.format(places=_places(others)) if others else "",
        only_children=ONLY_CHILDREN if only_children else "",
        step_lock=_lock("UPDATE SKIP LOCKED"),
        worker_lock=_lock("SHARE"),
        limit=limit,
    )
    worker, moment, skewed = _key(worker_id), _time(now), _time(now + MOST_SKEW)
    rows = _execute(statement, worker, moment, moment, queue, moment, skewed, *others, worker, *limits)
    if not rows:
        return None
    step_id, run_id, index, name, attempt, parameters, settings, downstream, *others = rows[0]
    return ClaimedStep(
        *(_uuid(step_id), _uuid(run_id), index, name, attempt),
        *(json.loads(parameters), json.loads(settings), json.loads(downstream)),
        *others,
    )


def start_attempt(
    *,
    attempt_id: uuid.UUID,
    step_id: uuid.UUID,
    number: int,
    worker_id: uuid.UUID,
    now: datetime,
    artifact_uri: str,
) -> None:
    moment = _time(now)
    ids = (_key(step_id), number, _key(worker_id))
    _execute(START_ATTEMPT, _key(attempt_id), moment, moment, *ids, moment, artifact_uri)


def hold_deployment(deployment_id: uuid.UUID) -> bool:
    """Keep it from being removed until the transaction ends, beside others who do the same; False: it is gone."""
    return bool(_execute(HELD_DEPLOYMENT.format(lock=_lock("KEY SHARE")), _key(deployment_id)))


def lock_run(run_id: uuid.UUID) -> bool:
    """Hold the run's row, so that the last two of its steps see each other end; whether it was asked to stop."""
    # NO KEY: rows that refer to the run may be added by others meanwhile.
    statement = RUN_FOR_END.format(lock=_lock("NO KEY UPDATE"))
    return _execute(statement, _key(run_id))[0][0] is not None


def end_step(
    *,
    step_id: uuid.UUID,
    attempt: int,
    status: ExecutionStatus,
    reason: str,
    exception: dict[str, Any] | None,
    metadata: dict[str, Any],
    started_at: datetime | None,
    ended_at: datetime,
    now: datetime,
) -> bool:
    """False when the step is no longer held by this attempt."""
    changed = (
        status.value,
        reason,
        _time(started_at),
        _time(ended_at),
        _time(now),
        1 if exception else 0,
        _json(exception),
        _json(metadata),
    )
    is_stopped = status is ExecutionStatus.STOPPED
    statement = END_STEP.format(waiting_since="waiting_since" if is_stopped else "NULL")
    return _execute_counting(statement, *changed, _key(step_id), attempt) == 1


def end_attempt(
    *,
    attempt_id: uuid.UUID,
    status: ExecutionStatus,
    reason: str,
    started_at: datetime | None,
    log_uri: str,
    log_tail: str,
    ended_at: datetime,
    now: datetime,
) -> None:
    times = (_time(started_at), _time(ended_at), _time(now))
    changed = (status.value, reason, *times, log_uri, log_tail)
    _execute(END_ATTEMPT, *changed, _key(attempt_id))


def add_output(
    *,
    project_id: uuid.UUID,
    user_id: uuid.UUID | None,
    step_id: uuid.UUID,
    name: str,
    artifact_name: str,
    stored: StoredArtifact,
    now: datetime,
    version: uuid.UUID | None = None,
) -> uuid.UUID:
    """A new version of the artifact, given out by the step under the output's name, if it has one."""
    version = version or uuid.uuid4()
    add_version(
        version=version,
        project_id=project_id,
        user_id=user_id,
        artifact_name=artifact_name,
        stored=stored,
        producer_step_id=step_id,
        now=now,
    )
    if name:
        _execute(ADD_OUTPUT, _key(step_id), name, _key(version))
    return version


def add_version(
    *,
    version: uuid.UUID,
    project_id: uuid.UUID,
    user_id: uuid.UUID | None,
    artifact_name: str,
    stored: StoredArtifact,
    producer_step_id: uuid.UUID | None,
    now: datetime,
) -> None:
    """A new version, under this id, of the artifact with this name."""
    moment, owner = _time(now), (_key(project_id), _key(user_id))
    artifact_id, number = _execute(NEXT_VERSION, _key(uuid.uuid4()), moment, moment, *owner, artifact_name)[0]
    kind = (stored.uri, stored.type, stored.materializer, stored.data_type)
    documents = (_json(stored.metadata), _json(stored.preview), stored.length, _json(stored.value))
    times = (_key(version), moment, moment)
    _execute(ADD_VERSION, *times, *owner, artifact_id, number, *kind, *documents, _key(producer_step_id))


def release_downstream(
    *, run_id: uuid.UUID, indexes: Sequence[int], now: datetime
) -> tuple[list[ReadyStep], bool]:
    """One thing less to wait for, as often as a step's index is given.

    Returns the steps that are ready now, and whether any of these steps is open at all: they may have been closed.
    """
    moment, ready, is_any_open = _time(now), list[ReadyStep](), False
    for count, some in _by_count(indexes):
        for part in _parts(some):
            statement = RELEASE.format(places=_places(part), finished=FINISHED)
            rows = _execute(statement, count, count, moment, moment, _key(run_id), *part)
            ready += [_ready_step(*row) for waits_for, *row in rows if waits_for == 0]
            is_any_open = is_any_open or bool(rows)
    return ready, is_any_open


def _by_count(indexes: Sequence[int]) -> list[tuple[int, list[int]]]:
    by_count: dict[int, list[int]] = {}
    for index, count in Counter(indexes).items():
        by_count.setdefault(count, []).append(index)
    return list(by_count.items())


def _ready_step(
    step_id: Any,
    index: int,
    name: str,
    queue: str,
    parameters: str,
    settings: str,
    downstream: str,
    *mapping: int | None,
) -> ReadyStep:
    documents = (json.loads(document) for document in (parameters, settings, downstream))
    return ReadyStep(_uuid(step_id), index, name, queue, *documents, *mapping)


def remember_cache_keys(keys: Mapping[uuid.UUID, str]) -> dict[uuid.UUID, uuid.UUID]:
    """Note the keys of these steps; for each that was completed before, which step did that last."""
    found: dict[uuid.UUID, uuid.UUID] = {}
    for part in _parts(list(keys.items())):
        statement = REMEMBER_KEYS.format(places=", ".join(["(%s, %s)"] * len(part)))
        rows = _execute(statement, *(place for step, key in part for place in (_key(step), key)))
        found |= {_uuid(step): _uuid(earlier) for step, earlier in rows if earlier is not None}
    return found


def completed_with(keys: Sequence[str]) -> dict[str, uuid.UUID]:
    """Of each of these keys that a step completed with, the one that did so last."""
    found: dict[str, uuid.UUID] = {}
    for part in _parts(keys):
        rows = _execute(COMPLETED_WITH.format(places=", ".join(["(%s)"] * len(part))), *part)
        found |= {key: _uuid(step) for key, step in rows if step is not None}
    return found


def versions_of(steps: Sequence[uuid.UUID]) -> dict[uuid.UUID, dict[str, uuid.UUID]]:
    """The artifact versions that these steps gave out, by the outputs' names."""
    found: dict[uuid.UUID, dict[str, uuid.UUID]] = {step: {} for step in steps}
    for part in _parts(steps):
        rows = _execute(VERSIONS_OF.format(places=_places(part)), *map(_key, part))
        for step, name, version in rows:
            found[_uuid(step)][name] = _uuid(version)
    return found


def end_as_cached(
    outputs: Mapping[uuid.UUID, Mapping[str, uuid.UUID]], *, reason: str, now: datetime
) -> None:
    """These steps give out what others made and are over."""
    moment = _time(now)
    rows = [
        (_key(step), name, _key(version))
        for step, named in outputs.items()
        for name, version in named.items()
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(ADD_OUTPUT, rows)
    for part in _parts(list(outputs)):
        _execute(END_CACHED.format(places=_places(part)), reason, moment, moment, moment, *map(_key, part))


def outputs_of(run_id: uuid.UUID, step_names: Sequence[str], mapped: Sequence[int] = ()) -> GivenOut:
    """What these steps of a run gave out, and all runs of the mapped steps with these indexes."""
    single: dict[tuple[str, str], InputArtifact] = {}
    lists: dict[tuple[int, str], list[InputArtifact]] = {}
    for column, values in (("step.name", step_names), ("step.mapped_index", mapped)):
        for part in _parts(values):
            statement = OUTPUTS_OF.format(chosen=f"{column} IN ({_places(part)})")
            for step, mapped_index, output, *version in _execute(statement, _key(run_id), *part):
                single[step, output] = artifact = _input_artifact(*version)
                if column == "step.mapped_index":
                    lists.setdefault((mapped_index, output), []).append(artifact)
    return GivenOut(single, lists)


def _input_artifact(
    version: Any, name: str, number: int, uri: str, materializer: str, data_type: str, kind: str
) -> InputArtifact:
    return InputArtifact(
        id=_uuid(version),
        name=name,
        artifact_version=str(number),
        uri=uri,
        materializer=materializer,
        data_type=data_type,
        type=kind,
    )


def _execute(statement: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def _execute_counting(statement: str, *parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def _lock(strength: str) -> str:
    """Nothing where a transaction that writes holds the whole database."""
    return f"FOR {strength}" if connection.features.has_select_for_update else ""


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))


def _parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), MOST_PLACES):
        yield values[start : start + MOST_PLACES]


def _key(value: uuid.UUID | None) -> Any:
    if value is None:
        return None
    return value if connection.features.has_native_uuid_field else value.hex


def _uuid(value: Any) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def _time(value: datetime | None) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _json(value: Any) -> Any:
    return None if value is None else json.dumps(value)
