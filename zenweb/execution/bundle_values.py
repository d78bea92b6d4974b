"""What a template file's pipeline runs with where no server judges it: its own types say what fits.

The rules are those of the server as far as types and the owner's curation say them; a role is nobody's here, so that
what the owner has fixed is fixed for all.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from zenweb.config.compiler import compile_again
from zenweb.config.defaults import Source, SourceName
from zenweb.config.hooks import FAILURE, SUCCESS, hook_path
from zenweb.config.json_schema import DYNAMIC_DEFAULT
from zenweb.config.parameters import holds_secret, parameter_adapters
from zenweb.config.run_configuration import PipelineRunConfiguration, field_errors
from zenweb.config.source import import_source
from zenweb.config.spec import PipelineSpec, StepSpec
from zenweb.config.suggestions import suggestion
from zenweb.config.template_file import TemplateDocument
from zenweb.enums import ExecutionMode
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.execution.choosing import check_choices_here
from zenweb.execution.masking import HIDDEN
from zenweb.execution.value_checks import errors_in
from zenweb.pipelines import Pipeline
from zenweb.pointers import pointer_to
from zenweb.steps import Step

Configuration = dict[str, Any]
Value = Any
RUN_WIDE = ("retry", FAILURE, SUCCESS)
"""What a run says for all of its steps. The rest of what they may be told is for workers."""
BOUNDS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusive_minimum": "gt",
    "exclusive_maximum": "lt",
    "multiple_of": "multiple_of",
    "min_length": "min_length",
    "max_length": "max_length",
    "pattern": "pattern",
}
MOST_CHOICES_TOLD = 20


@dataclass(frozen=True)
class StepValues:
    """What one step runs with."""

    spec: StepSpec
    parameters: dict[str, Value]
    settings: dict[str, Any]

    @property
    def shown(self) -> dict[str, Value]:
        """The parameters, those that hold a secret as bullets."""
        return {
            name: HIDDEN if value is not None and name in self.secret else value
            for name, value in self.parameters.items()
        }

    @property
    def secret(self) -> set[str]:
        """The parameters that hold a secret, or may."""
        adapters = parameter_adapters(import_source(self.spec.source, Step).entrypoint)
        return {name for name in self.parameters if name in adapters and holds_secret(adapters[name])}


@dataclass(frozen=True)
class RunValues:
    """What a run comes to."""

    spec: PipelineSpec
    run_name: str
    execution_mode: ExecutionMode
    steps: dict[str, StepValues] = field(default_factory=dict)


def values_of(
    document: TemplateDocument,
    spec: PipelineSpec,
    configuration: Mapping[str, Any],
    *,
    preset: str | None = None,
) -> RunValues:
    """The pipeline's defaults, the owner's, the preset's and the given values, the later over the earlier.

    The pipeline's code has to be importable. Raises ValidationFailed with all that is wrong.
    """
    given = _laid_over(_preset(document, preset), _without_unset(configuration))
    try:
        read = PipelineRunConfiguration.model_validate(given)
    except ValidationError as error:
        raise ValidationFailed(field_errors(error)) from error
    spec = _with_own_parameters(spec, read.parameters or {})
    known = {step.name for step in spec.steps}
    errors = [
        FieldError(pointer_to(("steps", name)), f"There is no such step.{suggestion(name, known)}")
        for name in read.steps
        if name not in known
    ]
    rules = (document.curation or {}).get("parameters") or {}
    steps = {step.name: _step(step, given, rules, errors) for step in spec.steps}
    if errors:
        raise ValidationFailed(errors)
    check_choices_here(
        spec.model_copy(
            update={
                "steps": [
                    step.model_copy(update={"parameters": steps[step.name].parameters}) for step in spec.steps
                ]
            }
        )
    )
    mode = read.execution_mode or spec.execution_mode or ExecutionMode.CONTINUE_ON_FAILURE
    return RunValues(spec, _run_name(document, spec, read), mode, steps)


def _preset(document: TemplateDocument, name: str | None) -> Configuration:
    if name is None:
        return {}
    presets = document.presets or {}
    if name not in presets:
        raise ValidationFailed(
            [FieldError("/preset", f"The file has no preset {name!r}.{suggestion(name, presets)}")]
        )
    return _without_unset(presets[name])


def _without_unset(configuration: Mapping[str, Any]) -> Configuration:
    """Without keys that mean nothing: null and {}. Steps that are named stay, so that a wrong name is told."""
    kept = {key: value for key, value in configuration.items() if value is not None and value != {}}
    if isinstance(kept.get("steps"), Mapping):
        kept["steps"] = {
            name: {key: value for key, value in (step or {}).items() if value is not None and value != {}}
            if isinstance(step, Mapping | None)
            else step
            for name, step in kept["steps"].items()
        }
    return kept


def _laid_over(base: Configuration, top: Configuration) -> Configuration:
    """Whole values of parameters, and whatever else is said, over those of `base`."""
    laid = {**base, **top}
    if isinstance(base.get("parameters"), dict) and isinstance(top.get("parameters"), dict):
        laid["parameters"] = {**base["parameters"], **top["parameters"]}
    if isinstance(base.get("steps"), dict) and isinstance(top.get("steps"), dict):
        laid["steps"] = {
            name: _laid_over(base["steps"].get(name, {}), top["steps"].get(name, {}))
            for name in {**base["steps"], **top["steps"]}
        }
    return laid


def _with_own_parameters(spec: PipelineSpec, given: Mapping[str, Value]) -> PipelineSpec:
    """The pipeline as it is with other parameters of its own."""
    if all(name in spec.parameters and spec.parameters[name] == value for name, value in given.items()):
        return spec
    pipeline: Pipeline[..., Any] = import_source(spec.source, Pipeline)
    if errors := errors_in(pipeline.entrypoint, given, "/parameters"):
        raise ValidationFailed(errors)
    parameters = {**spec.parameters, **given}
    return compile_again(pipeline, name=spec.name, parameters=parameters, configuration=spec.configuration)


def _step(
    step: StepSpec, given: Configuration, rules: Mapping[str, Any], errors: list[FieldError]
) -> StepValues:
    """Adds what is wrong with it to `errors`."""
    section = (given.get("steps") or {}).get(step.name) or {}
    asked = dict(section.get("parameters") or {})
    pointer = pointer_to(("steps", step.name, "parameters"))
    schemas = step.parameters_schema.get("properties") or {}
    unknown = [name for name in asked if name not in schemas]
    errors += [
        FieldError(
            f"{pointer}{pointer_to((name,))}", f"There is no such parameter.{suggestion(name, schemas)}"
        )
        for name in unknown
    ]
    of_step = {name: rules.get(f"{step.name}.{name}") or {} for name in schemas}
    errors += _outside_of_rules(asked, of_step, pointer)
    known = {name: value for name, value in asked.items() if name in schemas}
    function = import_source(step.source, Step).entrypoint
    errors += _misfits(function, step, known, pointer)
    values = {**step.parameters, **_owners(of_step), **_found(function, schemas, of_step), **known}
    errors += [
        FieldError(
            f"{pointer}{pointer_to((name,))}",
            "It gets a stored artifact, which only the server has: run it there.",
        )
        for name in step.artifacts
    ]
    errors += [
        FieldError(f"{pointer}{pointer_to((name,))}", _missing(schemas[name]))
        for name, schema in schemas.items()
        if name not in values
        and (name in step.parameters_schema.get("required", ()) or DYNAMIC_DEFAULT in schema)
    ]
    return StepValues(step, values, _settings(step, given, section))


def _misfits(
    function: Callable[..., Any], step: StepSpec, values: Mapping[str, Value], pointer: str
) -> Iterator[FieldError]:
    """Values that are of other types; of what a step is mapped over, each element."""
    for name, value in values.items():
        place = f"{pointer}{pointer_to((name,))}"
        if name not in step.mapped_parameters:
            yield from errors_in(function, {name: value}, pointer)
        elif not isinstance(value, list):
            yield FieldError(place, "This must be a list: the step runs once for each element.")
        else:
            for index, each in enumerate(value):
                for error in errors_in(function, {name: each}, ""):
                    yield FieldError(
                        f"{place}/{index}{error.pointer[len(pointer_to((name,))) :]}", error.message
                    )


def _owners(rules: Mapping[str, Mapping[str, Any]]) -> dict[str, Value]:
    return {
        name: rule["locked"] if "locked" in rule else rule["default"]
        for name, rule in rules.items()
        if "locked" in rule or "default" in rule
    }


def _outside_of_rules(
    asked: Mapping[str, Value], rules: Mapping[str, Mapping[str, Any]], pointer: str
) -> Iterator[FieldError]:
    for name, value in asked.items():
        rule, place = rules.get(name) or {}, f"{pointer}{pointer_to((name,))}"
        if "locked" in rule and value != rule["locked"]:
            yield FieldError(place, "The template's owner has fixed this value.")
        elif value is None:
            continue  # bounds are for what is there
        elif "choices" in rule and not all(
            each in rule["choices"] for each in (value if isinstance(value, list) else [value])
        ):
            yield FieldError(place, f"This must be one of {_listed(rule['choices'])}.")
        elif bounds := {word: rule[key] for key, word in BOUNDS.items() if rule.get(key) is not None}:
            bounded: Any = Annotated[Any, Field(**bounds)]
            try:
                TypeAdapter(bounded).validate_python(value)
            except (ValidationError, TypeError) as error:
                reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "It does not fit"
                yield FieldError(place, f"{reason}.")


def _listed(choices: Sequence[Value]) -> str:
    more = " and others" if len(choices) > MOST_CHOICES_TOLD else ""
    return ", ".join(map(str, choices[:MOST_CHOICES_TOLD])) + more


def _found(
    function: Callable[..., Any], schemas: Mapping[str, Any], rules: Mapping[str, Mapping[str, Any]]
) -> dict[str, Value]:
    """Today, and now, by this machine's clock and zone."""
    found, now = {}, datetime.now().astimezone()
    for name, schema in schemas.items():
        source = Source.read(schema.get(DYNAMIC_DEFAULT))
        if source is None or "locked" in rules[name] or "default" in rules[name]:
            continue
        for text in _moments(source, now):
            if not errors_in(function, {name: text}, ""):
                found[name] = text
    return found


def _moments(source: Source, now: datetime) -> Iterator[str]:
    """What it may be, the better the later."""
    if source.name is SourceName.TODAY:
        yield (now.date() + source.offset).isoformat()
    elif source.name is SourceName.NOW:
        at = (now.astimezone(UTC) + source.offset).astimezone(now.tzinfo)
        yield at.replace(tzinfo=None).isoformat(timespec="seconds")
        yield at.isoformat(timespec="seconds")


def _missing(schema: Mapping[str, Any]) -> str:
    if DYNAMIC_DEFAULT in schema:
        return "Give a value: what the last successful run had is known to the server only."
    return "A value is needed here."


def _settings(step: StepSpec, run: Configuration, section: Configuration) -> dict[str, Any]:
    said = [
        step.settings.model_dump(mode="json"),
        *({key: layer[key] for key in RUN_WIDE if layer.get(key) is not None} for layer in (run, section)),
    ]
    settings = {key: value for layer in said for key, value in layer.items() if value is not None}
    return {key: hook_path(value) if key in {FAILURE, SUCCESS} else value for key, value in settings.items()}


def _run_name(document: TemplateDocument, spec: PipelineSpec, given: PipelineRunConfiguration) -> str:
    template = document.pipeline.config_template if document.pipeline else {}
    pattern = given.run_name or template.get("run_name") or f"{spec.name}-{{date}}-{{time}}"
    now = datetime.now().astimezone()
    values = {"date": f"{now:%Y_%m_%d}", "time": f"{now:%H_%M_%S_%f}", **(given.substitutions or {})}
    for name, value in values.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return pattern
