"""Writing down what was noted about runs, steps and artifacts: name by name, the newer value for the older."""

import logging
from typing import Any

from django.db import transaction
from django.utils import timezone

from runs_app.models import ArtifactVersion, PipelineRun, RunEvent, StepRun
from zenweb.exceptions import ValidationFailed
from zenweb.execution.metadata import Noted, joined

logger = logging.getLogger(__name__)


@transaction.atomic
def add(thing: PipelineRun | StepRun | ArtifactVersion, values: Noted) -> None:
    """Raises ValidationFailed where it would be too much about one thing."""
    rows: Any = type(thing).objects.filter(pk=thing.pk)
    # Locked, so that what two note at once is kept of both.
    noted = rows.select_for_update(of=("self",), no_key=True).values_list("metadata", flat=True).get()
    rows.update(metadata=joined(noted, values), updated=timezone.now())


def add_from_step(step: StepRun, values: Noted) -> None:
    """What a step noted about its run. The step has ended well or not all the same where that is too much."""
    try:
        add(step.run, values)
    except ValidationFailed as error:
        logger.info("Metadata of step %s about its run were left out: %s", step.pk, error)
        sentence = f"What step {step.name} noted about the run was left out: {error}"
        RunEvent.objects.note(step.run_id, sentence, step.pk)
