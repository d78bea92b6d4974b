"""An attempt begins: a worker claims a ready step, or the process that called the pipeline starts one."""

import uuid
from collections.abc import Callable, Collection

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from runs_app import statements
from runs_app.models import PipelineRun, StepAttempt, StepRun, Worker
from runs_app.plans import plan_of, run_of
from zenweb.enums import OPEN_STATUSES, ExecutionStatus


@transaction.atomic
def claim_ready_step(
    worker: Worker,
    queue: str,
    passing_over: Collection[uuid.UUID] = (),
    check: Callable[[PipelineRun], None] | None = None,
    only_children: bool = False,
) -> StepAttempt | None:
    """Take the most urgent ready step of a queue for this worker: the one place where a step is claimed.

    Not one of the deployments to be passed over. What `check` raises about its run undoes the claim as if it had never
    been. A worker that was declared dead gets none. Holding a step, this waits for no run: whoever holds a run's row
    may wait for its steps.
    """
    now = timezone.now()
    claimed = statements.claim_step(
        worker_id=worker.pk,
        queue=queue,
        now=now,
        most=settings.QUEUE_LIMITS.get(queue),
        passing_over=passing_over,
        only_children=only_children,
    )
    if claimed is None:
        return None
    run = run_of(claimed.run_id)
    if check is not None:
        check(run)
    step = StepRun(
        id=claimed.id,
        run=run,
        index=claimed.index,
        name=claimed.name,
        attempt=claimed.attempt,
        parameters=claimed.parameters,
        settings=claimed.settings,
        downstream=claimed.downstream,
        mapped_index=claimed.mapped_index,
        element=claimed.element,
        failures=claimed.failures,
        worker_deaths=claimed.worker_deaths,
        queue=claimed.queue,
        status=ExecutionStatus.RUNNING,
        worker=worker,
        start_time=now,
    )
    attempt = StepAttempt(
        step=step, number=step.attempt, worker=worker, start_time=now, artifact_uri=_attempt_uri(step)
    )
    statements.start_attempt(
        attempt_id=attempt.id,
        step_id=step.id,
        number=attempt.number,
        worker_id=worker.pk,
        now=now,
        artifact_uri=attempt.artifact_uri,
    )
    return attempt


@transaction.atomic
def start_local_attempt(step: StepRun) -> StepAttempt | None:
    """The process that called the pipeline starts a step of it; None when it was started before."""
    now = timezone.now()
    statements.lock_run(step.run_id)
    unstarted = StepRun.objects.filter(pk=step.pk, attempt=step.attempt, status__in=OPEN_STATUSES)
    if not unstarted.update(
        attempt=F("attempt") + 1, status=ExecutionStatus.RUNNING, start_time=now, updated=now
    ):
        return None
    step.attempt += 1
    note_that_it_runs(step)
    return StepAttempt.objects.create(
        step=step,
        number=step.attempt,
        start_time=now,
        artifact_uri=_attempt_uri(step),
        log_pieces=0,
        log_length=0,
    )


def note_that_it_runs(step: StepRun) -> None:
    """A run runs from its first step on. After the claim, in a transaction of its own (see there)."""
    if not plan_of(step.run.deployment_id).step(step.spec_index).upstream:
        now = timezone.now()
        statements.start_run(step.run_id, step.start_time or now, now)


def _attempt_uri(step: StepRun) -> str:
    """A folder of the attempt's own; relative where the stack leaves the store to whoever executes."""
    store = step.run.stack.artifact_store_uri.rstrip("/")
    return "/".join(part for part in (store, str(step.run_id), step.name, str(step.attempt)) if part)
