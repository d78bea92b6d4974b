"""How a template is used: how often, by whom, how well and how fast."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import quantiles
from typing import Any

from django.db.models import Count, QuerySet
from django.utils import timezone

from runs_app.models import PipelineRun
from templates_app.models import RunTemplate
from zenweb.enums import ExecutionStatus

DAYS = 30
MOST_DAYS = 366
MOST_TIMED = 1000  # newest runs, whose times are looked at
MOST_USERS = 20


@dataclass(frozen=True)
class Times:
    """In seconds."""

    p50: float
    p95: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Times | None":
        if len(seconds) < 2:  # that is what it takes
            return cls(seconds[0], seconds[0]) if seconds else None
        percentiles = quantiles(seconds, n=100, method="inclusive")
        return cls(percentiles[49], percentiles[94])


@dataclass(frozen=True)
class Usage:
    """What happened within so many days, and the last run whenever it was."""

    days: int
    runs: int
    by_status: dict[str, int]
    by_channel: dict[str, int]
    by_user: dict[str, int]
    """Those with the most runs. Empty for runs whose user is gone."""
    duration: Times | None
    """Of runs that completed, from the first step's start to the end."""
    queue_wait: Times | None
    """From the request to the first step's start."""
    last_run: PipelineRun | None

    @property
    def success_rate(self) -> float | None:
        """Of the runs that completed or failed, how many completed; nobody's code ends those that are stopped."""
        completed = self.by_status.get(ExecutionStatus.COMPLETED, 0)
        ended = completed + self.by_status.get(ExecutionStatus.FAILED, 0)
        return completed / ended if ended else None


def usage_of(template: RunTemplate, runs: QuerySet[PipelineRun], days: int = DAYS) -> Usage:
    """Two queries. `runs`: those that count, such as those that somebody may see."""
    since = timezone.now() - timedelta(days=days)
    runs = runs.filter(template=template)
    groups = (
        runs.filter(created__gte=since)
        .order_by()
        .values_list("status", "channel", "user__username")
        .annotate(count=Count("pk"))
    )
    counted = [(status, channel, user or "", count) for status, channel, user, count in groups]
    newest = list(
        runs.order_by("-created").only("name", "index", "status", "created", "start_time", "end_time")[
            :MOST_TIMED
        ]
    )
    timed = [run for run in newest if run.created >= since]
    return Usage(
        days=days,
        runs=sum(count for *_, count in counted),
        by_status=_sums((status, count) for status, _, _, count in counted),
        by_channel=_sums((channel, count) for _, channel, _, count in counted),
        by_user=dict(Counter(_sums((user, count) for _, _, user, count in counted)).most_common(MOST_USERS)),
        duration=Times.of([_seconds(run.start_time, run.end_time) for run in timed if _has_times(run)]),
        queue_wait=Times.of([_seconds(run.created, run.start_time) for run in timed if run.start_time]),
        last_run=newest[0] if newest else None,
    )


def _sums(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums = Counter[str]()
    for name, count in pairs:
        sums[name] += count
    return dict(sums.most_common())


def _has_times(run: PipelineRun) -> bool:
    return run.status == ExecutionStatus.COMPLETED and run.start_time is not None and run.end_time is not None


def _seconds(start: Any, end: Any) -> float:
    spent: timedelta = end - start
    return max(0.0, spent.total_seconds())  # clocks of several machines may differ
