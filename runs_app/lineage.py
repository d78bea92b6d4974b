"""Runs that steps start: where they come from, and how many there may be."""

import uuid

from django.conf import settings
from django.utils.translation import gettext, ngettext

from runs_app.models import PipelineRun, StepRun
from runs_app.querysets import HEAVY, StepRunQuerySet, heavy_of
from templates_app.models import RunTemplate
from zenweb.accounts.models import StepPlace, User
from zenweb.enums import HELD_STATUSES, ExecutionStatus
from zenweb.exceptions import ValidationFailed


def place_of(step: StepRun) -> StepPlace:
    run = step.run
    return StepPlace(
        step_id=step.pk,
        step_name=step.name,
        run_id=run.pk,
        run_name=run.name,
        root_id=run.root_id or run.pk,
        depth=run.depth or 0,
        project_id=run.project_id,
        is_restricted=run.is_restricted,
    )


def caller_of(actor: User, step_id: uuid.UUID) -> StepPlace | None:
    """The step of a local run in which somebody says that they are; None where it is none of theirs that runs."""
    step = (
        StepRun.objects.filter(pk=step_id, status=ExecutionStatus.RUNNING)
        .filter(run__user=actor, run__caller_beat__isnull=False)
        .select_related("run")
        .defer(*heavy_of("run"))
        .first()
    )
    return place_of(step) if step is not None else None


def keep_out_of_cache(parent: StepPlace | None) -> None:
    """A step that has started a run is not found in the cache: taken from there, it would start none."""
    if parent is not None:
        StepRun.objects.filter(pk=parent.step_id).update(cache_key="")


def may_be_named_to(run: PipelineRun, parent: StepPlace) -> bool:
    """Whether who sees one of the two may well see the other: else neither ledger calls the other by its name."""
    return run.project_id == parent.project_id and not run.is_restricted and not parent.is_restricted


def hold_place_below(parent: StepPlace | None) -> None:
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
    if PipelineRun.objects.filter(pk=parent.run_id, stop_requested_at__isnull=False).exists():
        raise ValidationFailed(
            gettext("%(parent)s may start no run any more: its own was asked to stop.")
            % {"parent": _begin(parent)}
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


def with_originals(run: PipelineRun) -> list[uuid.UUID]:
    """The run, the one that it repairs, and so on: what their steps have started, its own may wait for."""
    found, original = [run.pk], run.original_id
    while original is not None and original not in found:
        found.append(original)
        original = PipelineRun.objects.values_list("original_id", flat=True).filter(pk=original).first()
    return found


def steps_waiting_for(run: PipelineRun) -> StepRunQuerySet:
    """Of the run that has started it, and of those that repair that one; also those that were stopped meanwhile.

    Which run a step waits for is kept nowhere: one that began to wait before this was last waited for may do so.
    """
    if run.awaited_since is None or run.parent_step is None:
        return StepRun.objects.none()
    starters = newest = [run.parent_step.run_id]
    while newest := list(PipelineRun.objects.filter(original__in=newest).values_list("pk", flat=True)):
        starters = starters + newest
    return StepRun.objects.filter(run__in=starters, waiting_since__lte=run.awaited_since)


def waiting_above(run: PipelineRun) -> list[uuid.UUID]:
    """The runs whose steps wait for this one, for one of these, and so on."""
    found: list[uuid.UUID] = []
    following = [run]
    while following:
        waiting = steps_waiting_for(following.pop()).filter(status__in=HELD_STATUSES).order_by()
        above = PipelineRun.objects.filter(pk__in=waiting.values("run")).exclude(pk__in=found)
        following += above.select_related("parent_step").defer(*HEAVY)
        found += [each.pk for each in above]
    return found


def check_ends_no_ancestor(parent: StepPlace | None, template: RunTemplate) -> None:
    """Raises ValidationFailed where a new run of the template would take the place of one that it is started from."""
    if parent is None:
        return
    step = StepRun.objects.select_related("run__parent_step").get(pk=parent.step_id)
    run: PipelineRun | None = step.run
    while run is not None:
        if run.template_id == template.pk:
            raise ValidationFailed(
                gettext(
                    'A new run of "%(name)s" takes the place of the oldest, and this one is started from such a run: '
                    "it would end what it comes from. Have further runs of the template wait instead, or start another."
                )
                % {"name": template.name}
            )
        run = run.parent_step.run if run.parent_step else None


def _begin(parent: StepPlace) -> str:
    words = gettext("step %(step)s of run %(run)s") % {"step": parent.step_name, "run": parent.run_name}
    return words[:1].upper() + words[1:]
