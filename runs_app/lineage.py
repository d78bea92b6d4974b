"""Runs that steps start: where they come from, and how many there may be."""

import uuid
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext, ngettext

from runs_app.models import PipelineRun, StepRun
from zenweb.accounts.models import StepInUse, User
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import ValidationFailed


@dataclass(frozen=True)
class Parent:
    """The step that asks for a run."""

    step_id: uuid.UUID
    step_name: str
    run_id: uuid.UUID
    run_name: str
    root_id: uuid.UUID
    """The run that nobody started from another one: of all below it only so many may be."""
    depth: int
    """How many runs stand above this one's."""

    def __str__(self) -> str:
        return f"step {self.step_name} of run {self.run_name}"

    @classmethod
    def of(cls, step: StepInUse) -> "Parent":
        return cls(step.step_id, step.step_name, step.run_id, step.run_name, step.root_id, step.depth)


def caller_of(actor: User, step_id: uuid.UUID) -> Parent | None:
    """The step of a local run in which somebody says that they are; None where it is none of theirs that runs."""
    step = (
        StepRun.objects.filter(pk=step_id, status=ExecutionStatus.RUNNING)
        .filter(run__user=actor, run__caller_beat__isnull=False)
        .select_related("run")
        .only("name", "run__name", "run__root_id", "run__depth")
        .first()
    )
    if step is None:
        return None
    run = step.run
    return Parent(step.pk, step.name, run.pk, run.name, run.root_id or run.pk, run.depth or 0)


def hold_place_below(parent: Parent | None) -> None:
    """Raises ValidationFailed where a step may start no further run. Until the transaction ends nobody else counts."""
    if parent is None:
        return
    # The run that all of the tree have in common: two that look at once would both find the last place.
    list(
        PipelineRun.objects.filter(pk=parent.root_id)
        .select_for_update(no_key=True)
        .order_by()
        .values_list("pk", flat=True)
    )
    if parent.depth >= settings.MOST_RUN_DEPTH:
        raise ValidationFailed(
            gettext(
                "%(parent)s may start no run: %(depth)s stand above it already, each started from the one before. "
                "Do pipelines start one another in a circle? ZENWEB_RUN_DEPTH on the server is the limit."
            )
            % {"parent": _begin(parent), "depth": parent.depth}
        )
    if PipelineRun.objects.filter(parent_step__run=parent.run_id).count() >= settings.MOST_CHILD_RUNS:
        raise ValidationFailed(
            ngettext(
                "The steps of run %(run)s have started %(most)s run, and may start no more: ZENWEB_CHILD_RUNS on the "
                "server is the limit.",
                "The steps of run %(run)s have started %(most)s runs, and may start no more: ZENWEB_CHILD_RUNS on the "
                "server is the limit.",
                settings.MOST_CHILD_RUNS,
            )
            % {"run": parent.run_name, "most": settings.MOST_CHILD_RUNS}
        )
    if PipelineRun.objects.filter(root=parent.root_id).count() >= settings.MOST_RUNS_IN_TREE:
        raise ValidationFailed(
            gettext(
                "%(parent)s may start no run: %(most)s were started from one another in this tree already. "
                "ZENWEB_RUNS_IN_TREE on the server is the limit."
            )
            % {"parent": _begin(parent), "most": settings.MOST_RUNS_IN_TREE}
        )


def _begin(parent: Parent) -> str:
    words = gettext("step %(step)s of run %(run)s") % {"step": parent.step_name, "run": parent.run_name}
    return words[:1].upper() + words[1:]
