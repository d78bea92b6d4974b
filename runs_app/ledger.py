"""A run's history in words: what was noted as an event, and what every attempt's row tells by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from runs_app.models import PipelineRun, StepAttempt
from zenweb.enums import ExecutionStatus


@dataclass(frozen=True)
class Line:
    """One thing that happened."""

    at: datetime
    sentence: str


def ledger_of(run: PipelineRun, limit: int) -> list[Line]:
    """The last `limit` lines, in the order in which things happened."""
    noted = [Line(event.created, event.sentence) for event in run.events.order_by("-id")[:limit]]
    attempts = StepAttempt.objects.filter(step__run=run).select_related("step", "worker")
    told = [line for attempt in attempts.order_by("-start_time")[:limit] for line in _lines_of(attempt)]
    return sorted(noted + told, key=lambda line: line.at)[-limit:]


def _lines_of(attempt: StepAttempt) -> Iterator[Line]:
    by = f"worker {attempt.worker.name}" if attempt.worker else "its caller"
    subject = f"Step {attempt.step.name}"
    yield Line(attempt.start_time, f"{subject}: attempt {attempt.number} started by {by}")
    if attempt.end_time is not None:
        yield Line(attempt.end_time, f"{subject}: attempt {attempt.number} {_end_of(attempt)}")


def _end_of(attempt: StepAttempt) -> str:
    if attempt.status == ExecutionStatus.RETRIED:
        return f"was lost: {attempt.reason}"
    return f"{attempt.status}: {attempt.reason}" if attempt.reason else attempt.status
