"""What the pipeline makes of its own parameters for its steps keeps to what the template's owner bounded and fixed."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext

from runs_app.plans import Rules
from templates_app.curated_schema import name_of, parameters_of
from templates_app.derived_curation import may_be_filled
from templates_app.schema_places import is_same
from templates_app.schema_validation import accepts, find_errors, standalone
from zenweb.config.spec import StepSpec
from zenweb.exceptions import FieldError
from zenweb.pointers import pointer_to

MOST_NAMED = 5


def find_handed_on(rules: Rules, configuration: Any) -> list[FieldError]:
    """What steps get that nobody gave them, and that the owner does not allow; of what is given the schema tells.

    It stands at a parameter of the pipeline that is another one than it was frozen with: nothing else can have moved
    it. Empty for a pipeline as it was frozen, whose defaults were looked at when its form was shaped.
    """
    if rules.frozen is None or not rules.restricted:
        return []
    steps = configuration.get("steps") if isinstance(configuration, Mapping) else None
    own = configuration.get("parameters") if isinstance(configuration, Mapping) else None
    errors = []
    for spec in rules.plan.spec.steps:
        section = steps.get(spec.name) if isinstance(steps, Mapping) else None
        given = section.get("parameters") if isinstance(section, Mapping) else None
        for name in rules.restricted.get(spec.name, ()):
            if isinstance(given, Mapping) and name in given:
                continue
            value = rules.defaults.get(spec.name, {}).get(name, spec.parameters.get(name))
            moved = _moved(rules, own if isinstance(own, Mapping) else {}, value)
            pointer = pointer_to(["parameters", *moved[:1]])
            errors += [FieldError(pointer, told) for told in _wrong(rules, spec, name, value, moved)]
    return errors


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
