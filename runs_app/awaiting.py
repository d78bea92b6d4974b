"""What is asked about steps that do nothing but wait for runs; recording.waits notes that they do."""

from collections.abc import Sequence

from django.utils import timezone

from runs_app.lineage import with_originals
from runs_app.models import PipelineRun, StepRun
from runs_app.querysets import PipelineRunQuerySet


def has_ready_step(queues: Sequence[str], *, only_children: bool) -> bool:
    """Whether there is anything to claim for who stands in for a step that waits."""
    ready = StepRun.objects.ready(timezone.now()).filter(queue__in=queues).order_by()
    return (ready.filter(run__parent_step__isnull=False) if only_children else ready).exists()


def started_by(step: StepRun, runs: PipelineRunQuerySet) -> PipelineRunQuerySet:
    """By any step of its run, or of those that it repairs."""
    return runs.filter(parent_step__run__in=with_originals(step.run))


def is_seen_by_starter(run: PipelineRun, others: PipelineRunQuerySet) -> bool:
    """Whether who has started the run may see any of the others, with the key that it was started with."""
    user = run.user
    if user is None:
        return False
    user.api_key_in_use = run.bound_key
    return others.visible_to(user).exists()
