"""What pipelines were put together as with other parameters is kept while something refers to it, or uses it."""

from typing import cast
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from runs_app import statements
from runs_app.models import PipelineRun
from templates_app.models import PipelineDeployment, Preset, RunTemplateVersion

MOST_LOOKED_AT = 100  # at once; each may weigh hundreds of kilobytes
NOTED = 4  # times within the time that one is kept, its use is noted at most


def hold(deployment: PipelineDeployment) -> bool:
    """Keep one from being removed until the transaction ends, which is to refer to it; False: it is gone."""
    return deployment.derived_from_id is None or statements.hold_deployment(deployment.pk)


def note_use(deployment: PipelineDeployment) -> None:
    """A form shows it that is not sent yet, so nothing refers to it. Seldom a write."""
    if deployment.derived_from_id is None or settings.KEEP_DERIVED is None:
        return
    now = timezone.now()
    if deployment.updated < now - settings.KEEP_DERIVED / NOTED:
        PipelineDeployment.objects.filter(pk=deployment.pk).update(updated=now)


@transaction.atomic
def forget_unused() -> int:
    """Remove some of those that nothing has used for long; how many that were. Any number may do so at once.

    `updated` tells when one was used, or looked at here and found to be in use: so each is looked at once in that
    time, however many there are, and a sweep costs the same.
    """
    if settings.KEEP_DERIVED is None:
        return 0
    now = timezone.now()
    old = PipelineDeployment.objects.filter(
        derived_from__isnull=False, updated__lt=now - settings.KEEP_DERIVED
    )
    old = old.order_by("updated")
    if connection.features.has_select_for_update_skip_locked:  # else nobody else writes meanwhile
        old = old.select_for_update(skip_locked=True, of=("self",))
    held = list(old.values_list("pk", flat=True)[:MOST_LOOKED_AT])
    # Held, so nobody begins to refer to one of them; and asked by a statement of its own, which sees who has.
    unused = set(_unused(held).values_list("pk", flat=True))
    PipelineDeployment.objects.filter(pk__in=set(held) - unused).update(updated=now)
    PipelineDeployment.objects.filter(pk__in=unused).only("pk").delete()
    return len(unused)


def _unused(among: list[UUID]) -> QuerySet[PipelineDeployment]:
    found = PipelineDeployment.objects.filter(pk__in=among)
    for model in (PipelineRun, RunTemplateVersion, Preset):
        found = found.exclude(Exists(model.objects.filter(deployment=OuterRef("pk"))))
    return cast("QuerySet[PipelineDeployment]", found)
