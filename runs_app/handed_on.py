"""What the pipeline makes of its own parameters for its steps keeps to what the template's owner bounded and fixed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from runs_app.plans import Rules
from templates_app.curated_schema import name_of, parameters_of
from templates_app.derived_curation import may_be_filled
from templates_app.schema_places import is_same
from templates_app.schema_validation import accepts, find_errors, standalone
from zenweb.config.spec import StepSpec
from zenweb.exceptions import FieldError
from zenweb.pointers import from_pointer, pointer_to

MOST_NAMED = 5
PARAMETER = 4  # parts of the path of one of a step's


def find_handed_on(rules: Rules, configuration: Any) -> list[FieldError]:
    """What steps get that nobody gave them, and that the owner does not allow; of what is given the schema tells.

    It stands at a parameter of the pipeline that is another one than it was frozen with: nothing else can have moved
    it. Empty for a pipeline as it was frozen, whose defaults were looked at when its form was shaped.
    """
    if rules.frozen is None or not rules.restricted:
        return []
    own, errors = _object(configuration, "parameters"), []
    for spec in rules.plan.spec.steps:
        given = _given_to(configuration, spec.name)
        for name in rules.restricted.get(spec.name, ()):
            if name in given:
                continue
            value = rules.defaults.get(spec.name, {}).get(name, spec.parameters.get(name))
            moved = _moved(rules, own, value)
            pointer = pointer_to(["parameters", *moved[:1]])
            errors += [FieldError(pointer, told) for told in _wrong(rules, spec, name, value, moved)]
    return errors


def with_their_source(rules: Rules, configuration: Any, errors: Sequence[FieldError]) -> Iterator[FieldError]:
    """The errors; those of values that are given as the pipeline hands them on, as forms do, with what made them so."""
    for error in errors:
        path = from_pointer(error.pointer)
        if (moved := _sources_of(rules, configuration, path)) is None:
            yield error
        else:
            words = gettext("%(sentence)s It is what the pipeline makes of %(own)s.")
            told = words % {"sentence": error.message, "own": ", ".join(moved[:MOST_NAMED])}
            yield FieldError(error.pointer, told)


def _sources_of(rules: Rules, configuration: Any, path: Sequence[str]) -> list[str] | None:
    """The pipeline's parameters that made a step's value what it is, if they did."""
    if rules.frozen is None or len(path) < PARAMETER or (path[0], path[2]) != ("steps", "parameters"):
        return None
    _, step, _, name = path[:PARAMETER]
    if name not in rules.restricted.get(step, ()):
        return None
    given, handed_on = _given_to(configuration, step), _handed_on_to(rules, step)
    if name not in given or name not in handed_on or not is_same(given[name], handed_on[name]):
        return None
    return _moved(rules, _object(configuration, "parameters"), handed_on[name]) or None


def _given_to(configuration: Any, step: str) -> Mapping[str, Any]:
    return _object(_object(_object(configuration, "steps"), step), "parameters")


def _handed_on_to(rules: Rules, step: str) -> Mapping[str, Any]:
    index = rules.plan.index_of.get(step)
    return {} if index is None else rules.plan.step(index).parameters


def _object(value: Any, key: str) -> Mapping[str, Any]:
    """What stands there, however unfinished it is."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _wrong(rules: Rules, spec: StepSpec, name: str, value: Any, moved: list[str]) -> Iterator[str]:
    facts = {"own": ", ".join(moved[:MOST_NAMED]), "parameter": name_of((spec.name, name))}
    if (source := _source_of(rules, spec, name)) is not None:
        words = gettext(
            "With %(own)s as given here, %(parameter)s is %(source)s. What that is, is not known before, and the owner "
            "of this template has bounded or fixed %(parameter)s."
        )
        yield words % {**facts, "source": source}
        return
    schema = parameters_of(rules.config_schema).get((spec.name, name))
    if schema is None or not (name in spec.parameters or name in rules.defaults.get(spec.name, {})):
        return  # no parameter of it any more, or one that has to be given
    if accepts(schema, rules.config_schema, value):
        return
    found = find_errors(standalone(schema, rules.config_schema), value)
    words = gettext(
        "What the pipeline makes of %(own)s for %(parameter)s is nothing that the owner of this template allows: "
        "%(reason)s"
    )
    yield words % {**facts, "reason": " ".join(dict.fromkeys(error.message for error in found))}


def _source_of(rules: Rules, spec: StepSpec, name: str) -> str | None:
    """What fills a parameter by now that was a value when the owner bounded it."""
    frozen = rules.frozen
    if frozen is None or may_be_filled(spec.name, name, frozen.uses, rules.plan.uses):
        return None
    if name in spec.inputs:
        return gettext("what step %(name)s gives out") % {"name": spec.inputs[name].step}
    return gettext("a stored artifact") if name in spec.artifacts else None


def _moved(rules: Rules, own: Mapping[str, Any], value: Any) -> list[str]:
    """The pipeline's parameters that are others than it was frozen with: first those that look as if they were it."""
    frozen = rules.frozen.spec.parameters if rules.frozen else {}
    now = rules.plan.spec.parameters
    moved = [name for name in now if name not in frozen or not is_same(now[name], frozen[name])]
    return sorted(moved, key=lambda name: (name not in own, not is_same(now[name], value)))
