"""Where the inputs of a step run come from: what earlier steps gave out, one element of it, or all of a mapped step."""

from collections.abc import Iterator
from dataclasses import dataclass

from runs_app.models import StepRun
from runs_app.plans import Plan
from runs_app.statements import ReadyStep


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


def element_name(step: str, element: int) -> str:
    """What a run of a mapped step is called."""
    return f"{step}-{element}"
