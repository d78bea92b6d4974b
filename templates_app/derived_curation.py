"""A template's curation, for what its pipeline is with other parameters than it was frozen with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from templates_app.curated_schema import Key, key_of, name_of, restricts
from templates_app.curation import Curation, ElementsCuration, ParameterCuration
from zenweb.config.spec import StepSpec


@dataclass(frozen=True)
class Use:
    """How a pipeline uses a function as a step."""

    source: str
    mapped: frozenset[str] = frozenset()
    """Parameters whose value is a list with one for each run of the step."""
    filled: frozenset[str] = frozenset()
    """Parameters that get what another step gives out, or a stored artifact."""

    @classmethod
    def of(cls, step: StepSpec) -> "Use":
        return cls(step.source, frozenset(step.mapped_parameters), frozenset({*step.inputs, *step.artifacts}))


Uses = Mapping[str, Use]
"""By the names of the steps, in their order."""


def uses_of(steps: Iterable[StepSpec]) -> dict[str, Use]:
    return {step.name: Use.of(step) for step in steps}


def with_other_parameters(curation: Curation, frozen: Uses, now: Uses) -> Curation:
    """What holds for a pipeline as it is now, of what was said of it as it was frozen.

    A step that was not there keeps to what is said of the first step of the same function that is bounded or fixed:
    nobody gets around that by asking for one more. What was said of one value holds for each of a list.
    """
    said = {key_of(name): entry for name, entry in curation.parameters.items()}
    of_functions = _said_of_functions(said, frozen)
    parameters: dict[str, ParameterCuration] = dict(curation.parameters)
    for step, use in now.items():
        before = frozen.get(step)
        if before is not None and before.source == use.source:
            own = [(name, entry) for (curated, name), entry in said.items() if curated == step]
            parameters |= {name_of((step, name)): _for_use(name, entry, before, use) for name, entry in own}
        else:
            parameters |= {
                name_of((step, name)): _for_use(name, entry, first, use)
                for (source, name), (entry, first) in of_functions.items()
                if source == use.source
            }
    return curation.model_copy(update={"parameters": parameters})


def may_be_filled(step: str, name: str, frozen: Uses, now: Uses) -> bool:
    """Whether whoever bounded a parameter saw that some steps of this function get it from another step."""
    use, before = now[step], frozen.get(step)
    is_new = before is None or before.source != use.source
    return is_new and any(other.source == use.source and name in other.filled for other in frozen.values())


def _said_of_functions(
    said: Mapping[Key, ParameterCuration], frozen: Uses
) -> dict[Key, tuple[ParameterCuration, Use]]:
    """What bounds or fixes a parameter of a function, by the function and the parameter, and of which use of it."""
    found: dict[Key, tuple[ParameterCuration, Use]] = {}
    for step, use in frozen.items():
        for (curated, name), entry in said.items():
            if curated == step and restricts(entry):
                found.setdefault((use.source, name), (entry, use))
    return found


def _for_use(name: str, entry: ParameterCuration, before: Use, now: Use) -> ParameterCuration:
    if (name in before.mapped) == (name in now.mapped):
        return entry
    asked: dict[str, Any] = {key: getattr(entry, key) for key in entry.model_fields_set}
    if name in now.mapped:
        return ElementsCuration(**asked)
    if not restricts(entry):
        asked.pop("default", None)  # a list, where one value is wanted
    return ParameterCuration(**asked)
