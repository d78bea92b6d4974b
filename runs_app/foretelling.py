"""Of steps that a run decides about while it goes on, what can be said before: how often one runs, and whether."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext, ngettext

from runs_app.run_configuration import ResolvedStep
from zenweb.config.spec import Condition, StepSpec

MOST_NAMED = 5


@dataclass(frozen=True)
class Foretold:
    """Of one step; "": it runs once."""

    name: str
    elements: int | None = None
    """How often a mapped step runs, if that is known."""
    sentence: str = ""


def foretell(steps: Sequence[ResolvedStep]) -> list[Foretold]:
    """What is known of each, in their order."""
    found, undecided, known = list[Foretold](), set[str](), dict[str, int]()
    for step in steps:
        spec, told = step.spec, list[str]()
        behind = sorted(name for name in undecided if spec.needs(name))
        if spec.conditions:
            conditions = gettext(" and ").join(map(_condition_words, spec.conditions))
            told.append(gettext("It runs only if %(conditions)s.") % {"conditions": conditions})
        elif behind:
            told.append(gettext("It runs only if %(steps)s runs.") % {"steps": _listed(behind)})
        if spec.conditions or behind:
            undecided.add(spec.name)
        elements = None
        if spec.is_mapped:
            elements, words = _elements(step, known)
            told.append(words)
        if elements is not None:
            known[spec.name] = elements
        found.append(Foretold(spec.name, elements, " ".join(told)))
    return found


def _condition_words(condition: Condition) -> str:
    words = gettext("%(step)s returns %(value)s")
    if condition.is_negated:
        words = gettext("%(step)s returns anything but %(value)s")
    return words % {"step": condition.step, "value": repr(condition.value)}


def _elements(step: ResolvedStep, known: Mapping[str, int]) -> tuple[int | None, str]:
    """`known`: how often the mapped steps before it run."""
    spec = step.spec
    mapped_over = {name: source.step for name, source in spec.inputs.items() if source.is_mapped}
    if unknown := sorted(set(mapped_over.values()) - known.keys()):
        words = gettext(
            "How often it runs is decided while it runs: once for each element of what %(steps)s gives out."
        )
        return None, words % {"steps": _listed(unknown)}
    lengths = {**_lengths(step, spec), **{name: known[source] for name, source in mapped_over.items()}}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{name}: {number}" for name, number in sorted(lengths.items())[:MOST_NAMED])
        words = gettext("It will fail: the lists that it is mapped over are not equally long (%(lengths)s).")
        return None, words % {"lengths": told}
    number = next(iter(lengths.values()))
    if number > settings.MAX_ELEMENTS:
        words = gettext("It will fail: it would run %(number)s times, and a step may %(most)s times at most.")
        return number, words % {"number": number, "most": settings.MAX_ELEMENTS}
    if number == 0:
        return 0, gettext("It does not run: %(names)s is empty.") % {"names": _listed(sorted(lengths))}
    words = ngettext(
        "It runs %(number)s time, for the one element of %(names)s.",
        "It runs %(number)s times, once for each element of %(names)s.",
        number,
    )
    return number, words % {"number": number, "names": _listed(sorted(lengths))}


def _lengths(step: ResolvedStep, spec: StepSpec) -> dict[str, int]:
    values = {name: step.parameters.get(name) for name in spec.mapped_parameters}
    return {name: len(value) if isinstance(value, list) else 0 for name, value in values.items()}


def _listed(names: Iterable[str]) -> str:
    named = list(names)
    return ", ".join([*named[:MOST_NAMED], *(["…"] if len(named) > MOST_NAMED else [])])
