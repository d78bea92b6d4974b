"""The runs that a run has started, those that these have started, and so on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from runs_app.models import PipelineRun
from zenweb.accounts.models import User

MOST_SHOWN = 100


@dataclass(frozen=True)
class Branch:
    """A run and what it has started, in that order."""

    run: PipelineRun
    branches: "list[Branch]" = field(default_factory=list)

    def runs(self) -> Iterator[PipelineRun]:
        for branch in self.branches:
            yield branch.run
            yield from branch.runs()


@dataclass(frozen=True)
class Tree:
    """As far as who looks at it may see them."""

    top: Branch
    is_cut: bool
    """Others would follow."""

    @property
    def is_live(self) -> bool:
        return any(not run.is_finished for run in self.top.runs())


def tree_below(user: User, run: PipelineRun) -> Tree:
    """One query for each level; no more than `MOST_SHOWN` runs, those near the top first."""
    top = Branch(run)
    known: dict[UUID, Branch] = {run.pk: top}
    level, room = [run.pk], MOST_SHOWN
    while level and room >= 0:
        found = list(PipelineRun.objects.visible_to(user).below(level).for_tree()[: room + 1])
        for child in found[:room]:
            branch = known[child.pk] = Branch(child)
            known[child.parent_step.run_id].branches.append(branch)
        if len(found) > room:
            return Tree(top, is_cut=True)
        level, room = [child.pk for child in found], room - len(found)
    return Tree(top, is_cut=False)
