"""What is known to be wrong with a configuration, without anybody being asked."""

from typing import Any

from django.utils.translation import gettext

from runs_app.choices import find_refused
from runs_app.compilations import known_failures
from runs_app.own_parameters import Answers, Asked, asked_of
from runs_app.plans import Runnable, rules_of
from runs_app.run_configuration import find_wrong, validate
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pointers import pointer_to


def known_errors(runnable: Runnable, configuration: Any) -> list[FieldError]:
    """All of it; of steps that are not known yet, nothing."""
    asked = asked_of(runnable, configuration)
    if asked.question is not None:
        return [*schema_errors(asked), *known_failures(asked.question)]
    return [*schema_errors(asked), *find_refused(asked.runnable, asked.configuration)]


def refused_of(runnable: Runnable, configuration: Any, among: Answers | None = None) -> list[FieldError]:
    """What the schema refuses, by what the pipeline is with the parameters of its own that are given."""
    try:
        return schema_errors(asked_of(runnable, configuration, among))
    except ValidationFailed as error:
        return list(error.errors)


def schema_errors(asked: Asked) -> list[FieldError]:
    """What the schema refuses; of steps that are not known yet, nothing."""
    rules = rules_of(asked.runnable)
    if asked.is_known:
        return find_wrong(rules, asked.configuration)
    errors = validate(rules.config_schema, asked.configuration, rules.validator)
    return [error for error in errors if not error.pointer.startswith("/steps/")]


def unknown_steps(asked: Asked) -> list[FieldError]:
    """What is given to steps of which nobody knows yet whether there are any, nor which of their values are secret."""
    if asked.is_known or not isinstance(steps := asked.configuration.get("steps"), dict):
        return []
    known = {step.name for step in rules_of(asked.runnable).plan.spec.steps}
    sentence = gettext(
        "Which steps there are with these parameters of the pipeline is not known yet. Have the values checked, or run "
        "them once: then they can be kept."
    )
    return [FieldError(pointer_to(["steps", name]), sentence) for name in steps if name not in known]
