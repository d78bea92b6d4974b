"""The runs of mapped steps as pages show them: counted, and those first that one wants to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count
from django.utils.translation import gettext, ngettext

from runs_app.models import StepRun
from runs_app.wording import STATUSES
from zenweb.enums import ExecutionStatus

MOST_SHOWN = 6  # of each mapped step, on the page of its run
DONE = (ExecutionStatus.COMPLETED, ExecutionStatus.CACHED)
# How the others are told, in this order.
TOLD = (
    ExecutionStatus.FAILED,
    ExecutionStatus.RETRYING,
    ExecutionStatus.RUNNING,
    ExecutionStatus.STOPPING,
    ExecutionStatus.INITIALIZING,
    ExecutionStatus.STOPPED,
)


@dataclass(frozen=True)
class Elements:
    """Of one mapped step."""

    total: int
    counts: Mapping[ExecutionStatus, int]
    shown: Sequence[StepRun] = ()

    @property
    def done(self) -> int:
        return sum(self.counts.get(status, 0) for status in DONE)

    @property
    def words(self) -> str:
        """ "37 of 100 completed · 2 failed · 8 running" """
        done = ngettext("%(done)s of %(all)s completed", "%(done)s of %(all)s completed", self.total)
        others = [
            gettext("%(number)s %(status)s") % {"number": number, "status": str(STATUSES[status]).lower()}
            for status in TOLD
            if (number := self.counts.get(status, 0))
        ]
        return " · ".join([done % {"done": self.done, "all": self.total}, *others])

    @property
    def by_status(self) -> list[tuple[ExecutionStatus, int]]:
        """What there is, to choose from."""
        return [(status, self.counts[status]) for status in (*TOLD, *DONE) if self.counts.get(status)]


def find_elements(steps: Sequence[StepRun], most: int = MOST_SHOWN) -> None:
    """Have the mapped steps of a run know of their runs, in two queries however many there are."""
    mapped = {step.index: step for step in steps if step.elements is not None}
    if not mapped:
        return
    run_id = steps[0].run_id
    elements = StepRun.objects.filter(run=run_id, mapped_index__in=mapped).order_by()
    counts: dict[int, dict[ExecutionStatus, int]] = {index: {} for index in mapped}
    for index, status, number in elements.values_list("mapped_index", "status").annotate(Count("pk")):
        counts[index][ExecutionStatus(status)] = number
    shown: dict[int, list[StepRun]] = {index: [] for index in mapped}
    if most:
        for element in elements.interesting_first(most):
            shown[element.spec_index].append(element)
    for index, step in mapped.items():
        step.laid_out = Elements(step.elements or 0, counts[index], shown[index])
