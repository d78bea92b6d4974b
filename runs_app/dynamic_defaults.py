"""Defaults that are found when a run is asked for: which parameters have some, and what they are at a moment."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext

from runs_app.models import PipelineRun, StepRun
from runs_app.plans import DynamicDefault, Runnable, rules_of
from templates_app.curated_schema import with_parameter
from templates_app.models import RunTemplateVersion
from templates_app.schema_validation import accepts
from zenweb.config.defaults import Source, SourceName
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import FieldError
from zenweb.pointers import pointer_to

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
    return [
        FieldError(pointer_to(("steps", each.step, "parameters", each.name)), _reason(each.source))
        for each in dynamic
        if each.name not in values[each.step]
    ]


def _reason(source: Source) -> str:
    if source.name is SourceName.LAST_SUCCESSFUL:
        return gettext("Give a value: there is no successful run yet with one that could be taken again.")
    sentence = gettext("Give a value: the default, %(source)s, is not one that may be given here.")
    return sentence % {"source": source}


def as_of_now(version: RunTemplateVersion) -> RunTemplateVersion:
    """The version, with what is found for its defaults as the defaults of its schema: as forms start from it."""
    if rules_of(version).dynamic:
        version.config_schema = current_schema(version)
    return version


def current_schema(runnable: Runnable) -> Schema:
    """The schema of a configuration with the defaults as they are at the moment.

    The moment itself has passed when somebody reads it: what starts from now has no default to be seen.
    """
    rules = rules_of(runnable)
    found = find_defaults(runnable)
    schema = rules.config_schema
    for each in rules.dynamic:
        given = found.get(each.step, {})
        key = (each.step, each.name)
        if each.source.name is SourceName.NOW:
            schema = with_parameter(schema, key, _without_default(each.schema), is_required=False)
        elif each.name in given:
            default = {**each.schema, "default": given[each.name]}
            schema = with_parameter(schema, key, default, is_required=False)
        elif "default" not in each.schema:
            schema = with_parameter(schema, key, each.schema, is_required=True)
    return schema


def _values(each: DynamicDefault, moment: datetime, former: Mapping[str, Mapping[str, Any]]) -> Iterator[Any]:
    """The value, if there is any: of two, the later one where the schema takes both."""
    if each.source.name is SourceName.LAST_SUCCESSFUL:
        if each.name in former.get(each.step, {}):
            yield former[each.step][each.name]
        return
    try:
        if each.source.name is SourceName.TODAY:
            yield (moment.date() + each.source.offset).isoformat()
        else:  # hours pass by no clock on a wall
            at = moment.astimezone(UTC) + each.source.offset
            local = at.astimezone(moment.tzinfo)
            yield local.replace(tzinfo=None).isoformat(timespec="seconds")  # for NaiveDatetime
            yield local.isoformat(timespec="seconds")
    except OverflowError:
        return


def _last_successful(runnable: Runnable) -> dict[str, dict[str, Any]]:
    """What the template's last completed run ran with; of what is run without one, the pipeline's."""
    if isinstance(runnable, RunTemplateVersion):
        runs = PipelineRun.objects.filter(template_id=runnable.template_id)
    else:
        runs = PipelineRun.objects.filter(pipeline_id=runnable.pipeline_id)
    completed = runs.filter(status=ExecutionStatus.COMPLETED)
    last = completed.order_by("-created").values_list("pk", flat=True).first()
    ran = StepRun.objects.filter(run=last, name__in={each.step for each in rules_of(runnable).dynamic})
    return dict(ran.values_list("name", "parameters")) if last else {}


def _without_default(parameter: Schema) -> Schema:
    return {key: value for key, value in parameter.items() if key != "default"}
