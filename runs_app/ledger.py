"""A run's history in words: what was noted as an event, what every attempt's row tells by itself, what it waits for."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext

from runs_app.models import PipelineRun, StepAttempt
from runs_app.plans import retry_delay
from runs_app.waiting import Reason
from runs_app.wording import STATUSES, duration_words
from zenweb.enums import ExecutionStatus

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations


class History(TypedDict):
    """What is asked beside an attempt's row."""

    failures_before: int


@dataclass(frozen=True)
class Line:
    """One thing that happened, to the whole run or to a step of it."""

    at: datetime
    sentence: str
    step: str | None = None


def ledger_of(run: PipelineRun, limit: int, reasons: Sequence[Reason] = ()) -> list[Line]:
    """The last `limit` lines, in the order in which things happened; `reasons` are what it waits for now.

    Of the many runs of a mapped step only what went wrong is told.
    """
    events = [Line(event.created, event.sentence) for event in run.events.order_by("-id")[:limit]]
    telling = Q(step__mapped_index=None) | Q(status__in=[ExecutionStatus.FAILED, ExecutionStatus.RETRIED])
    attempts = _attempts(run).filter(telling).order_by("-start_time")[:limit]
    return _merged(reversed(events), attempts, _unnoted(run, reasons))[-limit:]


def ledger_page(
    run: PipelineRun, first: int, size: int, reasons: Sequence[Reason] = ()
) -> tuple[list[Line], int]:
    """Lines of the ledger from the `first` on (0 is the oldest), and how many there are."""
    attempts, reasons = _attempts(run), _unnoted(run, reasons)
    total = (
        run.events.count() + attempts.count() + attempts.filter(end_time__isnull=False).count() + len(reasons)
    )
    if first >= total:
        return [], total
    # Whatever comes before the page's end is among so many of the oldest of each kind.
    last = first + size
    events = [Line(event.created, event.sentence) for event in run.events.order_by("created", "id")[:last]]
    lines = _merged(events, attempts.order_by("start_time", "id")[:last], reasons)
    return lines[first:last], total


def _attempts(run: PipelineRun) -> "QuerySet[WithAnnotations[StepAttempt, History]]":
    earlier = StepAttempt.objects.filter(step=OuterRef("step"), number__lt=OuterRef("number")).order_by()
    failed = earlier.filter(status=ExecutionStatus.FAILED).values("step").annotate(number=Count("pk"))
    failures = Coalesce(Subquery(failed.values("number")), 0)
    attempts = StepAttempt.objects.filter(step__run=run).annotate(failures_before=failures)
    return attempts.select_related("step", "worker").defer("log_tail")


def _unnoted(run: PipelineRun, reasons: Sequence[Reason]) -> list[Reason]:
    """Without what a housekeeper has noted already."""
    if not reasons:
        return []
    sentences = [reason.sentence for reason in reasons]
    noted = set(run.events.filter(sentence__in=sentences).values_list("sentence", flat=True))
    return [reason for reason in reasons if reason.sentence not in noted]


def _merged(
    events: Iterable[Line],
    attempts: "Iterable[WithAnnotations[StepAttempt, History]]",
    reasons: Sequence[Reason],
) -> list[Line]:
    told = [line for attempt in attempts for line in _lines_of(attempt)]
    waits = [Line(reason.since, reason.sentence) for reason in reasons]
    return sorted([*events, *told, *waits], key=lambda line: line.at)


def _lines_of(attempt: "WithAnnotations[StepAttempt, History]") -> Iterator[Line]:
    step, told = attempt.step, {"step": attempt.step.name, "number": attempt.number}
    started = gettext("Step %(step)s: attempt %(number)s started by its caller") % told
    if attempt.worker:
        words = gettext("Step %(step)s: attempt %(number)s claimed by worker %(worker)s")
        started = words % {**told, "worker": attempt.worker.name}
    yield Line(attempt.start_time, started, step.name)
    if attempt.end_time is not None:
        yield Line(attempt.end_time, f"{_end_of(attempt)}{_what_follows(attempt)}", step.name)


def _end_of(attempt: StepAttempt) -> str:
    told = {
        "step": attempt.step.name,
        "number": attempt.number,
        "time": duration_words(attempt.duration),
        "status": str(STATUSES[ExecutionStatus(attempt.status)]).lower(),
        "reason": attempt.reason.partition("\n")[0],  # the rest is told where the step is
    }
    match ExecutionStatus(attempt.status):
        case ExecutionStatus.RETRIED:
            words = gettext("Step %(step)s: attempt %(number)s was lost: %(reason)s")
        case ExecutionStatus.COMPLETED:
            words = gettext("Step %(step)s: attempt %(number)s completed in %(time)s")
        case _ if told["reason"]:
            words = gettext("Step %(step)s: attempt %(number)s %(status)s after %(time)s: %(reason)s")
        case _:
            words = gettext("Step %(step)s: attempt %(number)s %(status)s after %(time)s")
    return words % told


def _what_follows(attempt: "WithAnnotations[StepAttempt, History]") -> str:
    step, told = attempt.step, dict[str, Any](number=attempt.number + 1)
    if attempt.number >= step.attempt and step.status != ExecutionStatus.RETRYING:
        return ""
    has_failed = attempt.status == ExecutionStatus.FAILED
    if has_failed and (delay := retry_delay(step.settings, attempt.failures_before)):
        told["time"] = duration_words(delay)
        return "; " + gettext("attempt %(number)s follows in %(time)s") % told
    return "; " + gettext("attempt %(number)s follows") % told
