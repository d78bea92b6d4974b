"""What has changed from one version of a form to the next, in words for whoever is filling it in."""

from collections.abc import Iterator

from templates_app.schema_forms.controls import SingleControl
from templates_app.schema_forms.locked import LockedControl
from templates_app.schema_forms.registry import control_for
from templates_app.schema_forms.schemas import Json, Parameter, read_steps

Named = dict[str, tuple[str, Parameter]]


def describe_changes(before: Json, after: Json) -> list[str]:
    """One sentence for each field that is new, gone or different."""
    old, new = _by_name(before), _by_name(after)
    gone = [f"{words} is no longer asked for." for name, (words, _) in old.items() if name not in new]
    added = [f"{words} is new." for name, (words, _) in new.items() if name not in old]
    return [
        *added,
        *gone,
        *(
            f"{words} {change}"
            for name, (words, now) in new.items()
            if name in old
            for change in _changes(old[name][1], now)
        ),
    ]


def _changes(before: Parameter, now: Parameter) -> Iterator[str]:
    if now.is_locked:
        fixed = LockedControl(now).shown
        if not before.is_locked or LockedControl(before).shown != fixed:
            yield f"is fixed at {fixed} now."
        return
    if before.is_locked:
        yield "is not fixed any more."
    then, since = _default(before), _default(now)
    if then != since:
        yield f"starts from {since or 'nothing'} now, not from {then or 'nothing'}."
    if (limits := _limits(now)) != _limits(before):
        yield (
            f"may be something else now: {limits[:1].lower()}{limits[1:]}."
            if limits
            else "has no limits any more."
        )
    if now.is_required and not before.is_required:
        yield "has to be filled in now."


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
        return f"One of {', '.join(label for _, label in choices)}"
    control = control_for(parameter)
    return control.hint() if isinstance(control, SingleControl) else ""
