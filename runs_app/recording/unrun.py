"""Steps that end without anybody running them: taken from the cache, kept by a repair, skipped."""

import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Cast

from runs_app import deciding, statements
from runs_app.models import PipelineRun, RunEvent, StepRun
from runs_app.plans import plan_of
from runs_app.recording.closing import close_skipped
from runs_app.statements import ReadyStep
from zenweb.entity import JSONField
from zenweb.enums import ExecutionStatus
from zenweb.prepared import insert

CACHED_REASON = "It ran before with the same code, parameters and inputs: these are its outputs from then."
MOST_NAMES = 10


def end_as_cached(
    run: PipelineRun,
    steps: Sequence[ReadyStep],
    outputs: dict[uuid.UUID, dict[str, uuid.UUID]],
    reason: str,
    now: datetime,
) -> list[ReadyStep]:
    """End these steps with outputs from before; the steps that are ready now."""
    statements.end_as_cached(outputs, reason=reason, now=now)
    return release(run, [index for step in steps for index in step.downstream], now)


def keep_from_original(
    run: PipelineRun,
    kept: Sequence[ReadyStep],
    outputs: dict[uuid.UUID, dict[str, uuid.UUID]],
    original: str,
    now: datetime,
) -> list[ReadyStep]:
    """End the steps that a repair does not run again, with what the original's gave out and noted.

    Returns the steps that are ready now.
    """
    if not kept:
        return []
    ready = end_as_cached(run, kept, outputs, _kept_from(original), now)
    former = StepRun.objects.filter(run=run.original_id, name=OuterRef("name")).order_by()
    noted = Cast(Subquery(former.values("metadata")), JSONField())  # PostgreSQL reads JSON as text
    StepRun.objects.filter(run=run, status=ExecutionStatus.CACHED).update(metadata=noted)
    note_ended(run, "Kept", [step.name for step in kept], now)
    return ready


def keep_elements(
    run: PipelineRun,
    step: StepRun,
    outputs: Mapping[int, Mapping[str, uuid.UUID]],
    elements: int | None,
    original: str,
    now: datetime,
) -> None:
    """Lay out those elements of a mapped step that a repair does not run again, with what they gave out.

    `elements`: how many there are, if none is run again.
    """
    plan, first = plan_of(run.deployment_id), next_index(run)
    rows = deciding.elements_of(run, plan, ready_step(step), sorted(outputs), first_index=first, now=None)
    kept = {row.pk: row for row in rows}
    insert(*kept.values())
    given_out = {pk: outputs[row.element or 0] for pk, row in kept.items()}
    statements.end_as_cached(given_out, reason=_kept_from(original), now=now)
    StepRun.objects.filter(pk=step.pk).update(elements=elements)


def _kept_from(original: str) -> str:
    return f"It was not run again: these are its outputs from run {original}, which this run repairs."


def skip_step(run: PipelineRun, step: ReadyStep, reason: str, now: datetime) -> list[ReadyStep]:
    """Close a step whose condition does not hold, and what needs it; what only comes after goes on.

    Returns the steps that are ready now.
    """
    plan, steps = plan_of(run.deployment_id), StepRun.objects.filter(run=run)
    graph = dict(steps.filter(mapped_index=None).values_list("index", "downstream"))
    reasons, released, following = {step.index: reason}, list[int](), deque([step.index])
    while following:
        name = plan.step(index := following.popleft()).name
        for after in graph[index]:
            if not plan.step(after).needs(name):
                released.append(after)
            elif after not in reasons:
                reasons[after] = f"Skipped, because {name} was skipped."
                following.append(after)
    for index, sentence in reasons.items():
        close_skipped(steps.filter(index=index), sentence, now)
    note_ended(run, "Skipped", [plan.step(index).name for index in reasons], now)
    return release(run, released, now)


def note_ended(run: PipelineRun, how: str, names: Sequence[str], now: datetime) -> None:
    """Steps that ended without being run; the run goes on from them as from a first step."""
    go_on(run, now)
    RunEvent.objects.note(run.pk, f"{how}: {listed(names)}.")


def go_on(run: PipelineRun, now: datetime) -> None:
    beginning = PipelineRun.objects.filter(pk=run.pk, status=ExecutionStatus.INITIALIZING)
    beginning.filter(queued_at=None, is_prepared=True).update(
        status=ExecutionStatus.RUNNING, start_time=now, updated=now
    )


def release(run: PipelineRun, indexes: Sequence[int], now: datetime) -> list[ReadyStep]:
    return statements.release_downstream(run_id=run.pk, indexes=indexes, now=now)[0]


def ready_step(step: StepRun) -> ReadyStep:
    return ReadyStep(
        *(step.id, step.index, step.name, step.queue),
        *(step.parameters, step.settings, step.downstream),
        *(step.mapped_index, step.element, step.elements),
    )


def next_index(run: PipelineRun) -> int:
    """Of a step run more than there are; the run's row is held."""
    return int(StepRun.objects.filter(run=run).order_by("-index").values_list("index", flat=True)[0]) + 1


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"
