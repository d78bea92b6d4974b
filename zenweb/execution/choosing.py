"""Asks a provider what may be chosen, where user code may run, and holds values against what it answered."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from math import isfinite
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from zenweb.artifacts.previews import storable
from zenweb.config.choices import (
    MOST_BYTES,
    MOST_CHOICES,
    Chosen,
    argument_name,
    chosen_by,
    dependency_of,
    explain_refused,
)
from zenweb.config.json_values import typed_value
from zenweb.config.parameters import parameter_adapters
from zenweb.config.signatures import declared_parameters
from zenweb.config.source import import_source, importing_for_execution
from zenweb.config.spec import PipelineSpec, StepSpec
from zenweb.config.suggestions import article
from zenweb.exceptions import ChoicesNotUsable, FieldError, ValidationFailed
from zenweb.execution.protocol import Answered, Argument, Completed, Failed, Question, Started
from zenweb.execution.runner import Emit, describe
from zenweb.steps import Step

LONGEST_LABEL = 200
Option = tuple[Any, str]


def answer_question(step: Step[..., Any], question: Question, emit: Emit) -> None:
    """Emits `started`, then `answered` and `completed`, or `failed`."""
    try:
        chosen = chosen_by(declared_parameters(step.entrypoint)[question.parameter].hint)
        if chosen is None:
            raise ChoicesNotUsable(f"Parameter {question.parameter!r} has no choices in this code.")
        arguments = {given.name: _typed(given) for given in question.arguments}
        emit(Started())
        options = options_of(chosen, arguments)
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is told
        emit(Failed(exception=describe(error)))
        return
    emit(Answered(options=options))
    emit(Completed())


def options_of(chosen: Chosen, arguments: Mapping[str, Any]) -> list[Option]:
    """Values as JSON, each once, with their labels. Raises ChoicesNotUsable, and whatever the provider raises."""
    provider = chosen.choices.provider
    name, adapter = getattr(provider, "__name__", str(provider)), TypeAdapter[Any](chosen.member)
    options: dict[Any, str] = {}
    pairs = list(islice(_pairs(name, provider(**arguments)), MOST_CHOICES + 1))
    if len(pairs) > MOST_CHOICES:
        raise ChoicesNotUsable(
            f"{name}() returned more than {MOST_CHOICES:,} choices. Have it depend on something."
        )
    for value, label in pairs:
        written = _written(name, adapter, value)
        options.setdefault(written, _shown(written if label is None else label))
    found = list(options.items())
    if len(to_json(found)) > MOST_BYTES:
        raise ChoicesNotUsable(f"{name}() returned more than {MOST_BYTES // 1_000_000} MB of choices.")
    return found


def check_choices_here(spec: PipelineSpec) -> None:
    """Hold the values of a pipeline that runs in this process against its choices. Raises ValidationFailed."""
    steps = {step.name: step for step in spec.steps}
    if errors := [error for step in spec.steps for error in _errors(step, steps)]:
        raise ValidationFailed(errors)


def _errors(step: StepSpec, steps: Mapping[str, StepSpec]) -> Iterator[FieldError]:
    function = import_source(step.source, Step).entrypoint
    for name, declared in declared_parameters(function).items():
        value, chosen = step.parameters.get(name), chosen_by(declared.hint)
        if value is None or chosen is None:
            continue
        options = dict(options_of(chosen, _arguments(step.name, chosen, steps)))
        pointer = f"/steps/{step.name}/parameters/{name}"
        wrong = [(pointer, each) for each in (value if chosen.is_many else [value]) if each not in options]
        yield from explain_refused(pointer, wrong, options)


def _arguments(step: str, chosen: Chosen, steps: Mapping[str, StepSpec]) -> dict[str, Any]:
    found = {}
    for dependency in chosen.choices.depends_on:
        other, parameter = dependency_of(step, dependency)
        value = steps[other].parameters.get(parameter)
        given = Argument(
            name=argument_name(dependency), source=steps[other].source, parameter=parameter, value=value
        )
        found[given.name] = _typed(given)
    return found


def _typed(given: Argument) -> Any:
    """The value as the type that its parameter declares."""
    with importing_for_execution():
        step = import_source(given.source, Step)
    return typed_value(parameter_adapters(step.entrypoint)[given.parameter], given.value)


def _pairs(name: str, given: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(given, Mapping):
        yield from given.items()
        return
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise ChoicesNotUsable(
            f"{name}() returned {_kind(given)}, where a list of values is asked for, of pairs of a value and its "
            "label, or a dict of labels by value."
        )
    for each in given:
        yield each if isinstance(each, tuple) and len(each) == 2 else (each, None)


def _written(name: str, adapter: TypeAdapter[Any], value: Any) -> Any:
    """The value as a form sends it back."""
    try:
        written = adapter.dump_python(adapter.validate_python(value), mode="json")
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise ChoicesNotUsable(
            f"{name}() returned {value!r:.200}, which does not fit the parameter: {reason}."
        ) from error
    is_number = isinstance(written, int | float) and not isinstance(written, bool) and isfinite(written)
    if not is_number and not isinstance(written, str):
        raise ChoicesNotUsable(
            f"{name}() returned {value!r:.200}, which cannot be chosen: it is no text and no number."
        )
    if isinstance(written, str) and storable(written) != written:
        raise ChoicesNotUsable(
            f"{name}() returned {value!r:.200}, which has a character that cannot be stored."
        )
    return written


def _shown(label: Any) -> str:
    text = storable(" ".join(str(label).split()))
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def _kind(given: Any) -> str:
    return "nothing" if given is None else f"{article(type(given).__name__)} {type(given).__name__}"
