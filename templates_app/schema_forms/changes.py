"""What has changed from one version of a form to the next, in words for whoever is filling it in."""

from collections.abc import Iterator

from django.utils.translation import gettext

from templates_app.schema_forms.controls import SingleControl
from templates_app.schema_forms.locked import LockedControl
from templates_app.schema_forms.registry import control_for
from templates_app.schema_forms.schemas import Json, Parameter, read_steps
from templates_app.suggestions import some_of

Named = dict[str, tuple[str, Parameter]]


def describe_changes(before: Json, after: Json) -> list[str]:
    """One sentence for each field that is new, gone or different."""
    old, new = _by_name(before), _by_name(after)
    gone = [
        gettext("%(field)s is no longer asked for.") % {"field": words}
        for name, (words, _) in old.items()
        if name not in new
    ]
    added = [
        gettext("%(field)s is new.") % {"field": words} for name, (words, _) in new.items() if name not in old
    ]
    return [
        *added,
        *gone,
        *(
            sentence
            for name, (words, now) in new.items()
            if name in old
            for sentence in _changes(words, old[name][1], now)
        ),
    ]


def _changes(words: str, before: Parameter, now: Parameter) -> Iterator[str]:
    told = {"field": words}
    if now.is_locked:
        fixed = LockedControl(now).shown
        if not before.is_locked or LockedControl(before).shown != fixed:
            yield gettext("%(field)s is fixed at %(value)s now.") % {**told, "value": fixed}
        return
    if before.is_locked:
        yield gettext("%(field)s is not fixed any more.") % told
    then, since = _default(before), _default(now)
    if then != since:
        nothing = gettext("nothing")
        told_starts = {**told, "now": since or nothing, "before": then or nothing}
        yield gettext("%(field)s starts from %(now)s now, not from %(before)s.") % told_starts
    limits = _limits(now)
    if limits and limits != _limits(before):
        lowered = f"{limits[:1].lower()}{limits[1:]}"
        yield gettext("%(field)s may be something else now: %(limits)s.") % {**told, "limits": lowered}
    elif limits != _limits(before):
        yield gettext("%(field)s has no limits any more.") % told
    if now.is_required and not before.is_required:
        yield gettext("%(field)s has to be filled in now.") % told


def _by_name(config_schema: Json) -> Named:
    return {
        parameter.field_name: (f"“{parameter.title}” ({step.title})", parameter)
        for step in read_steps(config_schema)
        for parameter in step.parameters
        if not parameter.is_hidden
    }


def _default(parameter: Parameter) -> str:
    control = control_for(parameter)
    return control.default_hint if isinstance(control, SingleControl) else ""


def _limits(parameter: Parameter) -> str:
    if choices := parameter.schema.choices():
        return gettext("One of %(values)s") % {"values": some_of([label for _, label in choices])}
    control = control_for(parameter)
    return control.hint() if isinstance(control, SingleControl) else ""
