"""How two run configurations differ: from the defaults of their template, or from those of another run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runs_app import drafts
from runs_app.models import PipelineRun
from runs_app.plans import plan_of
from runs_app.run_configuration import Configuration, without_unset
from templates_app.schema_forms.schemas import Parameter, Schema, read_steps
from templates_app.schema_forms.shown import shown
from templates_app.schema_places import HIDDEN, is_same, replace_secrets, without_secrets
from zenweb.sealing import is_sealed

ABSENT = "–"


@dataclass(frozen=True)
class Difference:
    """One parameter that has another value now."""

    step: str
    """The step's title."""
    title: str
    field_name: str
    before: Any
    now: Any
    schema: Schema
    is_hidden: bool = False
    """Whether the form has no field for it, which a link could lead to."""

    @property
    def shown_before(self) -> Any:
        return shown(self.schema, self.before)

    @property
    def shown_now(self) -> Any:
        return shown(self.schema, self.now)


def changes(config_schema: Configuration, configuration: Mapping[str, Any]) -> Configuration:
    """A configuration without what is as the template says anyway, and without what says nothing."""
    return drafts.changes(config_schema, without_unset(dict(configuration)))


def keepable(config_schema: Configuration, configuration: Mapping[str, Any]) -> Configuration:
    """What of a configuration may be kept under a name or put into an address: what differs, and no secret."""
    kept: Configuration = without_secrets(config_schema, changes(config_schema, configuration))
    return without_empty_steps(kept)


def without_empty_steps(configuration: Configuration) -> Configuration:
    steps = {
        name: section
        for name, section in configuration.get("steps", {}).items()
        if section != {"parameters": {}}
    }
    rest = {key: value for key, value in configuration.items() if key != "steps"}
    return rest | ({"steps": steps} if steps else {})


def differences(
    config_schema: Configuration, before: Mapping[str, Any], now: Mapping[str, Any]
) -> list[Difference]:
    """The parameters whose values differ, in the form's order; what is not given has its default."""
    return [
        Difference(
            step.title,
            parameter.title,
            parameter.field_name,
            _visible(config_schema, parameter, former),
            _visible(config_schema, parameter, value),
            parameter.schema,
            parameter.is_hidden,
        )
        for step in read_steps(config_schema)
        for parameter in step.parameters
        for former, value in [(value_of(before, parameter), value_of(now, parameter))]
        if _differs(parameter, former, value)
    ]


def of_run(run: PipelineRun) -> Configuration:
    """All parameters that a run ran with, as a configuration."""
    own = run.own_parameters
    return {**({"parameters": own} if own else {}), **of_steps(run.parameters)}


def of_steps(parameters: Mapping[str, Mapping[str, Any]]) -> Configuration:
    """The parameters of a run's steps as a configuration."""
    return {"steps": {name: {"parameters": dict(values)} for name, values in parameters.items()}}


def values_to_compare(config_schema: Configuration, run: PipelineRun) -> Configuration:
    """What a run ran with, to be shown by another schema than its own: what was a secret there is one here."""
    values = of_run(run)
    there = with_secrets_hidden(plan_of(run.deployment_id).config_schema, values)
    return values if there == with_secrets_hidden(config_schema, values) else there


def with_secrets_hidden(config_schema: Configuration, configuration: Configuration) -> Configuration:
    """To look at: that there is a secret, and not which. What is sealed is one, whatever the schema says."""
    shown: Configuration = _unsealed(replace_secrets(config_schema, configuration, lambda _: HIDDEN))
    return shown


def _unsealed(value: Any) -> Any:
    if is_sealed(value):
        return HIDDEN
    if isinstance(value, dict):
        return {name: _unsealed(member) for name, member in value.items()}
    return list(map(_unsealed, value)) if isinstance(value, list) else value


def value_of(configuration: Mapping[str, Any], parameter: Parameter) -> Any:
    """The value given for a parameter, else its default, else ABSENT's stand-in `...`."""
    here: Any = configuration
    for key in parameter.path:
        if not isinstance(here, Mapping) or key not in here:
            return parameter.default if parameter.has_default else ...
        here = here[key]
    return here


def _differs(parameter: Parameter, former: Any, value: Any) -> bool:
    if parameter.is_secret and value in (..., None, ""):
        return False  # it is not kept, so it is not there: that says nothing
    if former is ... or value is ...:
        return former is not value
    return not is_same(former, value)


def _visible(config_schema: Configuration, parameter: Parameter, value: Any) -> Any:
    if value is ...:
        return ABSENT
    if not parameter.step:
        return value
    hidden = with_secrets_hidden(config_schema, of_steps({parameter.step: {parameter.name: value}}))
    return value_of(hidden, parameter)


def values_in(configuration: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each parameter that is given, the pipeline's own first: its path and its value."""
    for name, value in (configuration.get("parameters") or {}).items():
        yield ("parameters", name), value
    for step, section in configuration.get("steps", {}).items():
        for name, value in (section.get("parameters") or {}).items():
            yield ("steps", step, "parameters", name), value
