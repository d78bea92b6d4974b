"""Defaults that are found when a run is asked for: which parameters have some, and what they are at a moment."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext

from runs_app.models import PipelineRun, StepRun
from runs_app.plans import DynamicDefault, Runnable, rules_of
from templates_app.models import RunTemplateVersion
from templates_app.schema_validation import accepts
from zenweb.config.defaults import SourceName
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import FieldError

Schema = dict[str, Any]
Found = dict[str, dict[str, Any]]
"""Values by step and parameter."""


def find_defaults(runnable: Runnable, moment: datetime | None = None) -> Found:
    """The values at a moment, by the clocks of its own zone; without one, it is now, in the server's zone.

    No query where no parameter has such a default, and two where one asks for the last successful run.
    """
    rules = rules_of(runnable)
    found: Found = {}
    if not rules.dynamic:
        return found
    moment = moment or timezone.localtime()
    is_history_asked = any(each.source.name is SourceName.LAST_SUCCESSFUL for each in rules.dynamic)
    former = _last_successful(runnable) if is_history_asked else {}
    for each in rules.dynamic:
        for value in _values(each, moment, former):
            if accepts(each.schema, rules.config_schema, value):
                found.setdefault(each.step, {})[each.name] = value
    return found


def missing_defaults(
    dynamic: Sequence[DynamicDefault], values: Mapping[str, Mapping[str, Any]]
) -> list[FieldError]:
    """The parameters that nobody gave a value to, and for which none was found."""
    sentence = gettext("No run has completed yet whose value could be taken: give it one.")
    return [
        FieldError(f"/steps/{each.step}/parameters/{each.name}", sentence)
        for each in dynamic
        if each.name not in values[each.step]
    ]


def as_of_now(version: RunTemplateVersion) -> RunTemplateVersion:
    """The version, with what is found for its defaults as the defaults of its schema: as forms start from it."""
    if rules_of(version).dynamic:
        version.config_schema = current_schema(version)
    return version


def current_schema(runnable: Runnable) -> Schema:
    """The schema of a configuration with the defaults as they are at the moment."""
    rules = rules_of(runnable)
    found = find_defaults(runnable)
    schema = rules.config_schema
    for each in rules.dynamic:
        given = found.get(each.step, {})
        if each.name in given:
            schema = _changed(schema, each, {**each.schema, "default": given[each.name]}, is_required=False)
        elif "default" not in each.schema:
            schema = _changed(schema, each, each.schema, is_required=True)
    return schema


def _values(each: DynamicDefault, moment: datetime, former: Mapping[str, Mapping[str, Any]]) -> Iterator[Any]:
    """The one value, if there is any."""
    if each.source.name is SourceName.LAST_SUCCESSFUL:
        if each.name in former.get(each.step, {}):
            yield former[each.step][each.name]
        return
    try:
        at = moment + each.source.offset
    except OverflowError:
        return
    yield at.date().isoformat() if each.source.name is SourceName.TODAY else at.isoformat(timespec="seconds")


def _last_successful(runnable: Runnable) -> dict[str, dict[str, Any]]:
    """What the template's last completed run ran with; of what is run without one, the pipeline's."""
    if isinstance(runnable, RunTemplateVersion):
        runs = PipelineRun.objects.filter(template_id=runnable.template_id)
    else:
        runs = PipelineRun.objects.filter(pipeline_id=runnable.pipeline_id)
    last = (
        runs.filter(status=ExecutionStatus.COMPLETED)
        .order_by("-end_time")
        .values_list("pk", flat=True)
        .first()
    )
    return dict(StepRun.objects.filter(run=last).values_list("name", "parameters")) if last else {}


def _changed(schema: Schema, each: DynamicDefault, parameter: Schema, *, is_required: bool) -> Schema:
    """A copy with another parameter; all else is shared."""
    path = ("properties", "steps", "properties", each.step, "properties", "parameters")
    section = _at(schema, path)
    required = [name for name in section.get("required", []) if name != each.name]
    changed = {
        **section,
        "properties": {**section["properties"], each.name: parameter},
        "required": [*required, each.name] if is_required else required,
    }
    return _with(schema, path, changed)


def _at(schema: Schema, path: Sequence[str]) -> Schema:
    for key in path:
        schema = schema[key]
    return schema


def _with(schema: Schema, path: Sequence[str], part: Schema) -> Schema:
    key, *rest = path
    return {**schema, key: _with(schema[key], rest, part) if rest else part}
