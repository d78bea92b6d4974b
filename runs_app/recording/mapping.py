"""What can be decided about a step only when it is ready: whether it runs at all, and how often."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from runs_app import deciding
from runs_app.models import PipelineRun, RunEvent, StepRun
from runs_app.plans import plan_of
from runs_app.recording.closing import close_downstream, fail_unstarted, give_up
from runs_app.recording.unrun import listed, next_index, ready_step, release, skip_step
from runs_app.statements import ReadyStep
from zenweb.enums import OPEN_STATUSES, ExecutionStatus
from zenweb.prepared import insert


def decide(
    run: PipelineRun, ready: Sequence[ReadyStep], now: datetime
) -> tuple[list[ReadyStep], list[ReadyStep]]:
    """Lay out mapped steps, end those whose elements are over, skip those whose condition does not hold.

    Returns the steps that are to be run, and those that are ready because of what was ended here.
    """
    plan, to_run, following = plan_of(run.deployment_id), list[ReadyStep](), list[ReadyStep]()
    undecided = [step for step in ready if step.element is None and step.elements is None]
    facts = deciding.read_facts(run.pk, [plan.step(step.index) for step in undecided])
    closed = set[uuid.UUID]()  # with a step that fails here
    for step in ready:
        if step.id in closed:
            continue
        try:
            own, after = _decide_about(run, step, facts, now)
        except deciding.Undecidable as error:
            _fail(run, step, str(error), now)
            over = StepRun.objects.filter(run=run).exclude(status__in=OPEN_STATUSES)
            closed.update(over.values_list("pk", flat=True))
        else:
            to_run += own
            following += after
    return (
        [step for step in to_run if step.id not in closed],
        [step for step in following if step.id not in closed],
    )


def _decide_about(
    run: PipelineRun, step: ReadyStep, facts: deciding.Facts, now: datetime
) -> tuple[list[ReadyStep], list[ReadyStep]]:
    """The same of one step. Raises Undecidable."""
    if step.element is not None:
        return [step], []
    if step.elements is not None:
        return [], _end_mapped(run, step, now)
    plan = plan_of(run.deployment_id)
    spec = plan.step(step.index)
    if reason := deciding.why_skipped(spec, facts):
        return [], skip_step(run, step, reason, now)
    if not spec.is_mapped:
        return [step], []
    if elements := _lay_out(run, step, deciding.count_elements(plan, step, facts), now):
        return elements, []
    return [], _end_mapped(run, step, now)


def _lay_out(run: PipelineRun, step: ReadyStep, count: int, now: datetime) -> list[ReadyStep]:
    """A mapped step runs from now on, as so many step runs of their own."""
    steps = StepRun.objects.filter(run=run)
    # Those that a repair kept are there already.
    kept = set(steps.filter(mapped_index=step.index).values_list("element", flat=True))
    missing = [element for element in range(count) if element not in kept]
    # Of a local run its caller starts them, and no worker.
    since = now if run.stack.is_remote else None
    plan, first = plan_of(run.deployment_id), next_index(run)
    rows = list(deciding.elements_of(run, plan, step, missing, first_index=first, now=since))
    # It was raised where somebody waits for the run.
    priority = steps.values_list("priority", flat=True).get(pk=step.id)
    for row in rows:
        row.priority = priority
    if (
        not steps.unfinished()
        .filter(pk=step.id)
        .update(
            status=ExecutionStatus.RUNNING,
            start_time=now,
            elements=count,
            waits_for=len(rows),
            ready_at=None,
            updated=now,
        )
    ):
        return []
    insert(*rows)
    elements = "1 element" if count == 1 else f"{count} elements"
    RunEvent.objects.note(run.pk, f"{step.name} is mapped over {elements}.")
    return [ready_step(row) for row in rows]


def _end_mapped(run: PipelineRun, step: ReadyStep, now: datetime) -> list[ReadyStep]:
    """All elements of a mapped step are over: so is the step. The steps that are ready now."""
    failed = StepRun.objects.filter(run=run, mapped_index=step.index, status=ExecutionStatus.FAILED)
    names = list(failed.order_by("element").values_list("name", flat=True))
    is_ended = (
        StepRun.objects.unfinished()
        .filter(pk=step.id)
        .update(
            status=ExecutionStatus.FAILED if names else ExecutionStatus.COMPLETED,
            status_reason=f"{listed(names)} failed." if names else "",
            ready_at=None,
            end_time=now,
            updated=now,
        )
    )
    # What needs a failed step was closed when its first element failed.
    return release(run, step.downstream, now) if is_ended and not names else []


def _fail(run: PipelineRun, step: ReadyStep, sentence: str, now: datetime) -> None:
    """A step fails before anybody could run it."""
    unstarted = StepRun.objects.unfinished().filter(pk=step.id)
    if fail_unstarted(unstarted, "Undecidable", sentence, now):
        close_downstream(run, step.name, step.downstream, now)
        give_up(run, step.name, now)
