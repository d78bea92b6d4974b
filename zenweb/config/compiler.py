"""Turns a pipeline function into its spec: runs it once with noted steps, and checks that the whole can be frozen."""

import hashlib
import heapq
import inspect
import logging
import math
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePath
from types import UnionType
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from zenweb.artifacts.references import ArtifactReference
from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.config import zenml_alias
from zenweb.config.choice_checks import check_choices, refuse_choices
from zenweb.config.config_schema import parameter_schemas
from zenweb.config.definition import Definition
from zenweb.config.draft import (
    IN_TEXT,
    Invocation,
    MappedOutput,
    NoOutput,
    PipelineDraft,
    Placeholder,
    StepOutput,
    Wish,
    bound_arguments,
    drafting,
)
from zenweb.config.hooks import FAILURE, HOOK_OPTIONS, SUCCESS, check_hook, hook_path
from zenweb.config.json_values import typed_value
from zenweb.config.options import PROCESS_OPTIONS
from zenweb.config.parameters import (
    Parameter,
    description,
    holds_secret,
    parameter_adapters,
    summary,
    takes_file,
    typed_parameters,
)
from zenweb.config.resources import Resources, ineffective, ineffective_of_pipeline, with_checked_resources
from zenweb.config.run_configuration import (
    PipelineRunConfiguration,
    StepRunConfiguration,
    field_errors,
    read_yaml,
)
from zenweb.config.signatures import EMPTY, DeclaredOutput, declared_outputs, declared_parameters
from zenweb.config.source import importable, importable_name, source_of
from zenweb.config.spec import Condition, InputSpec, OutputSpec, PipelineSpec, StepSettings, StepSpec
from zenweb.config.suggestions import suggestion
from zenweb.exceptions import AuthoringError, ParameterError, ValidationFailed

logger = logging.getLogger(__name__)

# What a step that declares one of these never returns is no list, and no value of another of the four is its value.
SCALARS = frozenset({bool, int, float, str})
NO_LISTS = SCALARS | {complex, bytes, dict, set, frozenset}
# Names stand in addresses, JSON pointers and form fields.
NAME = re.compile(r"[\w -]+")
FROZEN_KEYS = frozenset(
    {
        *("run_name", "enable_cache", "retry", "queue", "priority", "timeout", "execution_mode"),
        *("tags", "settings", "parameters", "steps", FAILURE, SUCCESS),
    }
)
# Beside the names of steps, none of which is empty.
PIPELINE = ""
# What a pipeline says for those of its steps that say nothing. (Its time-out is the whole run's.)
PIPELINE_WIDE = ("retry", "queue", "priority", FAILURE, SUCCESS)
DIRECT_SETTINGS = tuple(name for name in StepSettings.model_fields if name != "resources")
FROZEN_STEP_KEYS = frozenset(
    {"parameters", "enable_cache", "retry", "timeout", "queue", "priority", "settings", FAILURE, SUCCESS}
)


@dataclass(frozen=True)
class Use:
    """One use of a step, its arguments sorted into what earlier steps fill and what has a value."""

    invocation: Invocation
    inputs: dict[str, InputSpec]
    artifacts: dict[str, UUID]
    parameters: list[Parameter]
    upstream: list[str]
    conditions: list[Condition]


def compile_pipeline(pipeline: Definition[..., Any], arguments: Mapping[str, Any]) -> PipelineSpec:
    """The spec of a pipeline. Raises AuthoringError, naming step and parameter, for what cannot be frozen."""
    configuration = configuration_of({**pipeline.options, **_hooks(pipeline.label, pipeline.options)})
    _warn_of_what_has_no_effect(configuration)
    given = {**(configuration.parameters or {}), **arguments}
    return _compile(pipeline, configuration, given, is_new=True)


def compile_again(
    pipeline: Definition[..., Any],
    *,
    name: str,
    parameters: Mapping[str, Any],
    configuration: Mapping[str, Any] | None,
) -> PipelineSpec:
    """The spec that a frozen pipeline has with other parameters (JSON values).

    `configuration`: what its options said when it was frozen, since a copy that `with_options` made cannot be imported.
    None: what they say now. Raises ParameterError for a value that its own type refuses, AuthoringError as above, and
    whatever the pipeline function raises.
    """
    adapters = parameter_adapters(pipeline.entrypoint)
    for parameter, value in parameters.items():
        try:
            typed_value(adapters[parameter], value)
        except ValidationError as error:
            found = error.errors(include_url=False)
            reasons = "; ".join(each["msg"].removeprefix("Value error, ") for each in found)
            raise ParameterError(parameter, f"{reasons}.") from error
        except KeyError:
            raise ParameterError(parameter, "The pipeline has no such parameter.") from None
    said = (
        configuration_of({**pipeline.options, **_hooks(pipeline.label, pipeline.options)})
        if configuration is None
        else PipelineRunConfiguration.model_validate(configuration)
    )
    return _compile(pipeline.renamed(name), said, parameters, is_new=False)


def _compile(
    pipeline: Definition[..., Any],
    configuration: PipelineRunConfiguration,
    given: Mapping[str, Any],
    *,
    is_new: bool,
) -> PipelineSpec:
    parameters = _pipeline_parameters(pipeline, given)
    draft = _draft(pipeline, parameters)
    if is_new:  # with other parameters, steps that are configured may not be there
        _check_configured_steps_exist(configuration, draft)
    _check_names_of_elements(draft)
    uses = [_use(invocation, configuration, draft) for invocation in draft.invocations.values()]
    typed = {use.invocation.name: use.parameters for use in uses}
    check_choices({use.invocation.name: use.invocation.step.entrypoint for use in uses}, typed)
    schemas, definitions = parameter_schemas({**typed, PIPELINE: _asked_of_runs(parameters)})
    return PipelineSpec(
        name=_checked_name(pipeline.label, pipeline.name),
        source=source_of(pipeline),
        description=description(pipeline.entrypoint),
        parameters=_values(parameters),
        parameters_schema=schemas[PIPELINE],
        configuration=_frozen_configuration(configuration),
        steps=[
            _step_spec(use, schemas[use.invocation.name], pipeline, configuration) for use in _in_order(uses)
        ],
        definitions=definitions,
        enable_cache=configuration.enable_cache,
        timeout=configuration.timeout,
        execution_mode=configuration.execution_mode,
        tags=list(dict.fromkeys(configuration.tags or ())),
        settings=configuration.settings or {},
        imports_zenml=zenml_alias.is_active(),
    )


def _asked_of_runs(parameters: Iterable[Parameter]) -> list[Parameter]:
    """Those that a run may give: a secret would be written down in steps' defaults, and files are read by steps."""
    return [
        parameter
        for parameter in parameters
        if not holds_secret(parameter.adapter) and not takes_file(parameter)
    ]


def _frozen_configuration(configuration: PipelineRunConfiguration) -> dict[str, Any]:
    wire = configuration.to_wire()
    return {key: value for key, value in wire.items() if key in FROZEN_KEYS - {"parameters"}}


def configuration_of(options: Mapping[str, Any]) -> PipelineRunConfiguration:
    """What a pipeline's options and its configuration file say together; the options go first."""
    file = read_yaml(options["config_path"]) if "config_path" in options else {}
    said = {key: _seconds(options[key]) for key in FROZEN_KEYS - {"parameters"} if key in options}
    try:
        return PipelineRunConfiguration.model_validate(_laid_over(file, said))
    except ValidationError as error:
        raise ValidationFailed(field_errors(error)) from error


def _hooks(owner: str, options: Mapping[str, Any]) -> dict[str, str]:
    """The hooks among the options, as a configuration has them."""
    found = {}
    for option, key in HOOK_OPTIONS.items():
        if (hook := options.get(option)) is not None:
            try:
                found[key] = hook_path(hook)
            except ValueError as error:
                raise AuthoringError(f"{owner}, {option}: {error}") from error
            if callable(hook):
                check_hook(owner, option, hook)
    return found


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _laid_over(base: Any, top: Any) -> Any:
    """The values of `top`, and those of `base` where it has none; at every depth."""
    if not isinstance(base, dict) or not isinstance(top, dict):
        return top
    return {**base, **{key: _laid_over(base.get(key), value) for key, value in top.items()}}


def _warn_of_what_has_no_effect(configuration: PipelineRunConfiguration) -> None:
    wire = configuration.to_wire()
    pointers = [f"/{key}" for key in wire if key not in FROZEN_KEYS]
    for name, step in wire.get("steps", {}).items():
        pointers += [f"/steps/{name}/{key}" for key in step if key not in FROZEN_STEP_KEYS]
        pointers += [f"/steps/{name}/settings/{key}" for key in ineffective(step.get("settings"))]
    pointers += [f"/settings/{key}" for key in ineffective_of_pipeline(wire.get("settings"))]
    for pointer in pointers:
        logger.warning("%s: accepted, no effect", pointer)


def _pipeline_parameters(pipeline: Definition[..., Any], given: Mapping[str, Any]) -> list[Parameter]:
    bound_arguments(pipeline.label, pipeline.entrypoint, (), given)  # refuses names it does not have
    parameters = typed_parameters(pipeline.label, pipeline.entrypoint, given)
    refuse_choices(pipeline.label, parameters)
    if found := [parameter.name for parameter in parameters if parameter.is_dynamic]:
        raise AuthoringError(
            f"{pipeline.label}, parameter {found[0]!r}: a pipeline is put together once, so Default() would be that "
            "of today for ever. Give it to the parameter of a step."
        )
    missing = [parameter.name for parameter in parameters if parameter.is_required]
    if missing:
        raise AuthoringError(
            f"{pipeline.label} needs a value for {', '.join(missing)} to be put together: give it a default, or "
            f"use with_options(parameters={{{missing[0]!r}: ...}}). Only parameters of steps can be left to the run."
        )
    return parameters


def _draft(pipeline: Definition[..., Any], parameters: list[Parameter]) -> PipelineDraft:
    adapters = {parameter.name: parameter.adapter for parameter in parameters}
    # Through JSON and back: what the function gets now is what it gets when a worker compiles it again.
    values = {name: typed_value(adapters[name], value) for name, value in _values(parameters).items()}
    with drafting() as draft:
        pipeline.entrypoint(**values)
    return draft


def _check_configured_steps_exist(configuration: PipelineRunConfiguration, draft: PipelineDraft) -> None:
    for name in configuration.steps:
        if name not in draft.invocations:
            raise AuthoringError(
                f"There is no step {name!r} to configure.{suggestion(name, draft.invocations)}"
            )


def _use(invocation: Invocation, configuration: PipelineRunConfiguration, draft: PipelineDraft) -> Use:
    step, owner = invocation.step, _checked_label(invocation)
    inputs = {
        name: spec
        for name, value in invocation.arguments.items()
        if (spec := _input(owner, invocation, name, value, draft)) is not None
    }
    artifacts = {
        name: value.id
        for name, value in invocation.arguments.items()
        if isinstance(value, ArtifactReference) and _is_kept(owner, invocation, name)
    }
    filled = inputs.keys() | artifacts.keys()
    conditions = [_condition(owner, wish, draft) for wish in invocation.wishes]
    literals = {name: value for name, value in invocation.arguments.items() if name not in filled}
    configured = _configured(invocation, configuration).parameters
    for name in configured.keys() & inputs.keys():
        raise AuthoringError(
            f"{owner}, parameter {name!r}: it gets an output of {inputs[name].step!r}, not a value."
        )
    for name in configured.keys() & artifacts.keys():
        raise AuthoringError(f"{owner}, parameter {name!r}: it gets a stored artifact, not a value.")
    given = {**step.options.get("parameters", {}), **literals, **configured}
    bound_arguments(owner, step.entrypoint, (), given)  # refuses names it does not have
    parameters = typed_parameters(owner, step.entrypoint, given, filled, invocation.mapped)
    _check_lengths(owner, invocation, _values(parameters))
    needed = {spec.step for spec in inputs.values()} | {condition.step for condition in conditions}
    upstream = needed | invocation.after
    for name in upstream - draft.invocations.keys():
        raise AuthoringError(
            f"{owner}: there is no step {name!r} to come after.{suggestion(name, draft.invocations)}"
        )
    return Use(invocation, inputs, artifacts, parameters, sorted(upstream), conditions)


def _check_lengths(owner: str, invocation: Invocation, values: Mapping[str, Any]) -> None:
    """Lists that are written down, one element of each for each run of the step."""
    lengths = {name: len(values[name]) for name in sorted(invocation.mapped & values.keys())}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise AuthoringError(
            f"{owner} is mapped over lists that are not equally long: {told}. Hand what all its runs get as "
            "unmapped(...)."
        )


def _is_kept(owner: str, invocation: Invocation, name: str) -> bool:
    """Whether the artifact fills the parameter as a whole."""
    if name in invocation.mapped:
        raise AuthoringError(
            f"{owner}, parameter {name!r}: a stored artifact cannot be mapped over. Hand it unmapped(...), or load it "
            "in a step whose output is mapped over."
        )
    return True


def _checked_label(invocation: Invocation) -> str:
    return f"Step {_checked_name(invocation.step.label, invocation.name)!r}"


def _checked_name(owner: str, name: str) -> str:
    if not NAME.fullmatch(name):
        raise AuthoringError(f"{owner}: a name has letters, digits, '_', '-' and blanks only.")
    return name


def _check_names_of_elements(draft: PipelineDraft) -> None:
    """The runs of a mapped step are called `train-0`, `train-1` and so on."""
    for name, invocation in draft.invocations.items():
        taken = [other for other in draft.invocations if re.fullmatch(rf"{re.escape(name)}-\d+", other)]
        if invocation.mapped and taken:
            raise AuthoringError(
                f"The runs of the mapped step {name!r} are called {name}-0, {name}-1 and so on: "
                f"give step {taken[0]!r} another `id`."
            )


def _input(
    owner: str, invocation: Invocation, name: str, value: Any, draft: PipelineDraft
) -> InputSpec | None:
    """The output that the value stands for; None for a real value."""
    if isinstance(value, StepOutput):
        declared = declared_parameters(invocation.step.entrypoint)[name]
        is_mapped = name in invocation.mapped
        if is_mapped and not isinstance(value, MappedOutput) and declared.hint is UnmaterializedArtifact:
            raise AuthoringError(
                f"{owner}, parameter {name!r}: an element of a list comes as its value, for it is no artifact. "
                "Declare the type of that, or hand it unmapped(...)."
            )
        if is_mapped and not isinstance(value, MappedOutput):
            _check_is_list(f"{owner}, parameter {name!r}", _hint_of(value, draft), value.step_name)
        has_default = declared.default is not EMPTY and not isinstance(declared.default, FieldInfo)
        return InputSpec(
            step=value.step_name,
            output=value.output_name,
            is_mapped=is_mapped,
            is_optional=has_default and not is_mapped and not isinstance(value, MappedOutput),
        )
    if isinstance(value, NoOutput):
        raise AuthoringError(
            f"{owner}, parameter {name!r}: step {value.step_name!r} returns nothing. Give it a return annotation, "
            f"or say after={value.step_name!r} if only the order matters."
        )
    if any(isinstance(part, Placeholder | ArtifactReference) for part in _parts(value)):
        raise AuthoringError(
            f"{owner}, parameter {name!r}: outputs of steps cannot be collected in a {type(value).__name__}. "
            "Give each a parameter of its own."
        )
    if any(
        isinstance(part, str | PurePath) and IN_TEXT.search(str(part)) for part in (value, *_parts(value))
    ):
        raise AuthoringError(
            f"{owner}, parameter {name!r}: its text names an output that has no value yet. Hand the output itself to "
            "the step, and make the text there."
        )
    return None


def _check_is_list(owner: str, hint: Any, step: str) -> None:
    kind = typing.get_origin(hint) or hint
    if kind is typing.Literal or kind in NO_LISTS:
        raise AuthoringError(
            f"{owner}: step {step!r} returns {kind.__name__}, and only lists and tuples are mapped over. "
            "Hand it unmapped(...) if all runs of the step get it whole."
        )


def _condition(owner: str, wish: Wish, draft: PipelineDraft) -> Condition:
    output, owner = wish.output, f"{owner}, {wish.keyword}="
    if isinstance(output, tuple) or isinstance(wish.value, Placeholder):
        raise AuthoringError(
            f"{owner}: one output is looked at. Of a step that returns several, take one: score, is_good = check(); "
            f"{wish.keyword}=is_good. What several say together, a step decides and returns as a bool."
        )
    if not isinstance(output, StepOutput):
        raise AuthoringError(
            f"{owner}: a condition is what an earlier step returns, or that with a value: (output, value). "
            "What is known already is decided with a plain `if` in the pipeline function."
        )
    if isinstance(output, MappedOutput):
        raise AuthoringError(
            f"{owner}: step {output.step_name!r} is mapped, so it returns many values. Let a step look at them all and "
            "return the decision."
        )
    hint = _hint_of(output, draft)
    if wish.is_bare and hint not in (bool, Any):
        raise AuthoringError(
            f"{owner}: step {output.step_name!r} does not return a bool. Say which value is meant: "
            f"{wish.keyword}=(output, value)."
        )
    value = wish.value.value if isinstance(wish.value, Enum) else wish.value
    if not isinstance(value, bool | int | float | str):
        raise AuthoringError(f"{owner}: {value!r} is no bool, number or text.")
    if isinstance(value, str) and IN_TEXT.search(value):
        raise AuthoringError(
            f"{owner}: {value} has no value yet. Let a step compare both and return the decision."
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise AuthoringError(f"{owner}: {value} cannot be compared with. Let the step return a bool.")
    allowed = _choices_of(hint)
    if (allowed and not any(_is_same(value, choice) for choice in allowed)) or not _can_be(hint, value):
        raise AuthoringError(
            f"{owner}: step {output.step_name!r} never returns {value!r}.{suggestion(str(value), map(str, allowed))}"
        )
    return Condition(
        step=output.step_name, output=output.output_name, value=value, is_negated=wish.keyword == "unless"
    )


def _hint_of(output: StepOutput, draft: PipelineDraft) -> Any:
    declared = declared_outputs(draft.invocations[output.step_name].step.entrypoint)
    return next(each.hint for each in declared if each.name == output.output_name)


def _choices_of(hint: Any) -> list[Any]:
    """The values of a Literal or of an enum."""
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    return [member.value for member in hint] if isinstance(hint, type) and issubclass(hint, Enum) else []


def _is_same(value: Any, other: Any) -> bool:
    """As while a run is under way: True is not 1."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _can_be(hint: Any, value: bool | int | float | str) -> bool:
    """Whether a step that declares this may return the value. A number is the same with and without a point."""
    if not isinstance(hint, type) or hint not in SCALARS:
        return True
    if hint is int and isinstance(value, float):
        return value.is_integer()
    kinds = (int, float) if hint is float else hint
    return isinstance(value, bool) == (hint is bool) and isinstance(value, kinds)


def _parts(value: Any) -> Iterator[Any]:
    """What is inside of lists and dicts, at any depth."""
    members = (*value, *value.values()) if isinstance(value, dict) else value
    if isinstance(value, dict | tuple | list | set):
        for member in members:
            yield member
            yield from _parts(member)


def _configured(invocation: Invocation, configuration: PipelineRunConfiguration) -> StepRunConfiguration:
    found = configuration.steps.get(invocation.name)
    return found if found is not None else StepRunConfiguration()


def _in_order(uses: Iterable[Use]) -> list[Use]:
    """So that each comes after what it needs, and otherwise as the pipeline function has them."""
    by_name = {use.invocation.name: use for use in uses}
    position = {name: index for index, name in enumerate(by_name)}
    sorter = TopologicalSorter({name: use.upstream for name, use in by_name.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        raise AuthoringError(
            f"The steps wait for each other in a circle: {' → '.join(reversed(error.args[1]))}."
        ) from None
    ordered, ready = [], list[tuple[int, str]]()
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, (position[name], name))
        _, name = heapq.heappop(ready)
        sorter.done(name)
        ordered.append(by_name[name])
    return ordered


def _step_spec(
    use: Use, schema: dict[str, Any], pipeline: Definition[..., Any], configuration: PipelineRunConfiguration
) -> StepSpec:
    invocation, function = use.invocation, use.invocation.step.entrypoint
    _check_process_options(invocation)
    return StepSpec(
        name=invocation.name,
        source=source_of(invocation.step),
        code_hash=_code_hash(function),
        description=summary(function),
        inputs=use.inputs,
        artifacts=use.artifacts,
        upstream=use.upstream,
        parameters=_values(use.parameters),
        parameters_schema=schema,
        outputs=[
            _output_spec(output, pipeline.name, invocation.name) for output in declared_outputs(function)
        ],
        settings=_settings(invocation, configuration),
        mapped_parameters=sorted(invocation.mapped - use.inputs.keys()),
        conditions=use.conditions,
    )


def _values(parameters: Iterable[Parameter]) -> dict[str, Any]:
    return {parameter.name: parameter.value for parameter in parameters if parameter.value is not EMPTY}


def _check_process_options(invocation: Invocation) -> None:
    """A step's process reads these from the step it imports: a copy made in the pipeline function never reaches it."""
    imported = importable(invocation.step)
    for option in sorted(PROCESS_OPTIONS):
        if invocation.step.options.get(option) != imported.options.get(option):
            raise AuthoringError(
                f"Step {invocation.name!r}: {option} cannot be given inside of the pipeline. "
                f"Give it to @step, or make a copy with with_options({option}=...) at the top level of the module."
            )
        if option in invocation.step.options:
            logger.warning("Step %r, %s: accepted, no effect", invocation.name, option)
    for key in ineffective(invocation.step.options.get("settings")):
        logger.warning("Step %r, settings.%s: accepted, no effect", invocation.name, key)


@cache
def _code_hash(function: Callable[..., Any]) -> str:
    try:
        return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()
    except OSError as error:
        raise AuthoringError(
            f"The code of step {function.__name__!r} has no file that could be stored. Put it into a .py file."
        ) from error


def _output_spec(output: DeclaredOutput, pipeline: str, step: str) -> OutputSpec:
    for word in output.ineffective:
        logger.warning("Step %r, output %r, %s: accepted, no effect", step, output.name, word)
    artifact_name = output.artifact_name or f"{pipeline}::{step}::{output.name}"
    return OutputSpec(name=output.name, artifact_name=artifact_name, type=_type_name(output.hint))


def _type_name(hint: Any) -> str:
    plain = typing.get_origin(hint) or hint
    if plain in (typing.Union, UnionType) or not isinstance(plain, type):
        return str(hint)
    return f"{importable_name(sys.modules[plain.__module__])}.{plain.__qualname__}"


def _settings(invocation: Invocation, configuration: PipelineRunConfiguration) -> StepSettings:
    owner, configured = f"Step {invocation.name!r}", _configured(invocation, configuration)
    options = {**invocation.step.options, **_hooks(owner, invocation.step.options)}
    try:
        own_settings = with_checked_resources(options.get("settings") or {})
    except ValueError as error:
        raise AuthoringError(f"{owner}: {error}.") from error
    said = {name: _seconds(options.get(name)) for name in StepSettings.model_fields}
    said |= {name: configuration[name] for name in PIPELINE_WIDE if said[name] is None}
    overridden = {name: value for name in DIRECT_SETTINGS if (value := configured.get(name)) is not None}
    layers = [
        Resources.said_by(configuration.settings, configuration.queue),
        Resources.said_by(own_settings, options.get("queue")),
        Resources.said_by(configured.settings, configured.queue),
    ]
    resources = Resources.laid_over(layers)
    needs = {"queue": resources.queue, "resources": resources.needs or None}
    try:
        settings = StepSettings.model_validate({**said, **overridden, **needs})
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
        raise AuthoringError(f"{owner}: {reasons}.") from error
    for sentence in resources.notes():
        logger.warning("%s, settings.resources.%s", owner, sentence)
    return settings
