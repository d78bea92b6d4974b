"""Where the inputs of a step run come from: what earlier steps gave out, one element of it, or all of a mapped step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runs_app.models import ArtifactVersion, StepOutput, StepRun
from runs_app.plans import Plan, plan_of
from runs_app.querysets import heavy_of
from runs_app.statements import ReadyStep
from zenweb.accounts.models import StepPlace


@dataclass(frozen=True)
class Source:
    """Of one input."""

    parameter: str
    step: str
    """The step run that gave it out; unless it is a list, see `mapped_index`."""
    output: str
    element: int | None = None
    """Which element of the list that was given out; None: all that was given out."""
    mapped_index: int | None = None
    """Of the mapped step whose runs gave it out."""
    is_list: bool = False
    """All that these runs gave out is meant, and not what one of them did."""
    is_optional: bool = False


def sources_of(plan: Plan, step: StepRun | ReadyStep) -> Iterator[Source]:
    """Of a mapped step, each of its runs is asked about and not the step as a whole."""
    for parameter, source in plan.step(step.spec_index).inputs.items():
        index = plan.index_of[source.step]
        if not plan.step(index).is_mapped:
            element = step.element if source.is_mapped else None
            yield Source(
                parameter, source.step, source.output, element=element, is_optional=source.is_optional
            )
        elif source.is_mapped:
            run = element_name(source.step, step.element or 0)
            yield Source(parameter, run, source.output, mapped_index=index)
        else:
            yield Source(parameter, source.step, source.output, mapped_index=index, is_list=True)


def was_made_in_run_of(place: StepPlace, version: ArtifactVersion) -> bool:
    """Whether a step of the same run gave it out, be it another run's from the cache."""
    return StepOutput.objects.filter(step__run=place.run_id, artifact_version=version).exists()


def was_given_to(place: StepPlace, version: ArtifactVersion) -> bool:
    """Whether a step gets it from outside of its run: by what it was asked for, or by what its pipeline says."""
    step = StepRun.objects.select_related("run").defer(*heavy_of("run")).get(pk=place.step_id)
    handed = plan_of(step.run.deployment_id).step(step.spec_index).artifacts
    return version.pk in handed.values() or _names(step.parameters, str(version.pk))


def _names(value: Any, text: str) -> bool:
    if isinstance(value, dict):
        return any(_names(each, text) for each in value.values())
    return any(_names(each, text) for each in value) if isinstance(value, list) else value == text


def element_name(step: str, element: int) -> str:
    """What a run of a mapped step is called."""
    return f"{step}-{element}"
