"""What is decided while a run is under way: how often a mapped step runs, and whether a condition holds.

The server never loads what a step gave out: its process told, when it was stored, how long it is and what it says.
"""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from runs_app.inputs import element_name
from runs_app.models import PipelineRun, StepOutput, StepRun
from runs_app.plans import Plan
from runs_app.statements import ReadyStep
from zenweb.config.spec import Condition, StepSpec
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import ZenWebError


class Undecidable(ZenWebError):
    """What a step gave out does not say how often another runs, or whether it does."""


@dataclass(frozen=True)
class Told:
    """What a step's process said of an output."""

    length: int | None
    value: Any


Facts = Mapping[tuple[str, str], Told]
"""By step and output."""


def read_facts(run_id: uuid.UUID, specs: Collection[StepSpec]) -> Facts:
    """All that has to be known of earlier steps to decide about these."""
    names = {source.step for spec in specs for source in spec.inputs.values() if source.is_mapped}
    names |= {condition.step for spec in specs for condition in spec.conditions}
    if not names:
        return {}
    outputs = StepOutput.objects.filter(step__run=run_id, step__name__in=names).order_by()
    rows = outputs.values_list("step__name", "name", "artifact_version__length", "artifact_version__value")
    facts = {(step, output): Told(length, value) for step, output, length, value in rows}
    laid_out = StepRun.objects.filter(run=run_id, name__in=names, elements__isnull=False).order_by()
    lengths = dict(laid_out.values_list("name", "elements"))
    sources = [source for spec in specs for source in spec.inputs.values() if source.step in lengths]
    return facts | {(each.step, each.output): Told(lengths[each.step], None) for each in sources}


def count_elements(plan: Plan, step: ReadyStep, facts: Facts) -> int:
    """How often a mapped step runs. Raises Undecidable, with a sentence for a person."""
    lengths = dict(_lengths(plan.step(step.index), step.parameters, facts))
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise Undecidable(f"It is mapped over lists that are not equally long: {told}.")
    count = next(iter(lengths.values()))
    if count > settings.MAX_ELEMENTS:
        raise Undecidable(
            f"It would run {count} times, and a step may be mapped over {settings.MAX_ELEMENTS} elements at most "
            "(ZENWEB_MAX_ELEMENTS). Hand it lists of several each."
        )
    return count


def _lengths(spec: StepSpec, parameters: Any, facts: Facts) -> Iterator[tuple[str, int]]:
    for name in spec.mapped_parameters:
        if not isinstance(parameters.get(name), list):
            raise Undecidable(f"It is mapped over {name}, which is no list.")
        yield name, len(parameters[name])
    for name, source in spec.inputs.items():
        if source.is_mapped:
            length = _told(facts, source.step, source.output).length
            if length is None:
                raise Undecidable(
                    f"It is mapped over what step {source.step} returned for {name}, and that is no list or tuple."
                )
            yield name, length


def _told(facts: Facts, step: str, output: str) -> Told:
    """Raises Undecidable where it is not kept: its artifact was deleted meanwhile, or its process left it out."""
    if (told := facts.get((step, output))) is None:
        raise Undecidable(
            f"It depends on the output {output!r} of step {step}, which is not there (any more)."
        )
    return told


def elements_of(
    run: PipelineRun,
    plan: Plan,
    step: ReadyStep,
    elements: Sequence[int],
    *,
    first_index: int,
    now: datetime | None,
) -> Iterator[StepRun]:
    """The rows of these runs of a mapped step, waiting for a worker since `now`."""
    mapped = plan.step(step.index).mapped_parameters
    for index, element in enumerate(elements, first_index):
        own = {name: step.parameters[name][element] for name in mapped}
        yield StepRun(
            run=run,
            index=index,
            name=element_name(step.name, element),
            mapped_index=step.index,
            element=element,
            parameters={**step.parameters, **own},
            settings=step.settings,
            queue=step.queue,
            downstream=[step.index],
            ready_at=now,
            status=ExecutionStatus.INITIALIZING,
        )


def why_skipped(spec: StepSpec, facts: Facts) -> str:
    """Why the step is not run, in a sentence; "": all its conditions hold. Raises Undecidable."""
    return next((reason for each in spec.conditions if (reason := _why_not(each, facts))), "")


def _why_not(condition: Condition, facts: Facts) -> str:
    value, expected = _told(facts, condition.step, condition.output).value, condition.value
    if value is None or (isinstance(expected, bool) and not isinstance(value, bool)):
        wanted = "True nor False" if isinstance(expected, bool) else "a bool, nor a number, nor a short text"
        raise Undecidable(
            f"Its condition looks at what step {condition.step} returned, which is neither {wanted}."
        )
    holds = value == expected and isinstance(value, bool) == isinstance(expected, bool)
    if holds is not condition.is_negated:
        return ""
    if isinstance(expected, bool) or condition.is_negated:
        return f"Skipped: {condition.step} returned {value!r}."
    return f"Skipped: {condition.step} returned {value!r} and not {expected!r}."
