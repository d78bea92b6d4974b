"""Whether the choices of a pipeline's parameters can be asked for, found out when it is frozen."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import TypeAdapter

from zenweb.config.choices import Choices, Chosen, argument_name, chosen_by, dependency_of
from zenweb.config.hooks import path_of_function
from zenweb.config.json_schema import CHOICE_RULES, FILE_RULES
from zenweb.config.parameters import Parameter, holds_secret, nodes_of
from zenweb.config.signatures import declared_parameters
from zenweb.config.suggestions import suggestion
from zenweb.exceptions import AuthoringError

Place = tuple[str, str]
CHOSEN_TYPES = frozenset({"string", "integer", "number"})


def check_choices(
    functions: Mapping[str, Callable[..., Any]], parameters: Mapping[str, Sequence[Parameter]]
) -> None:
    """Of all steps, by their names. Raises AuthoringError, naming step and parameter."""
    asked = {(step, each.name): each for step, typed in parameters.items() for each in typed}
    graph = {}
    for (step, name), parameter in asked.items():
        owner = f"Step {step!r}, parameter {name!r}"
        chosen = _chosen(owner, declared_parameters(functions[step])[name].hint, parameter)
        if chosen is not None:
            _check_provider(owner, chosen.choices)
            graph[step, name] = [
                _dependency(owner, step, dependency, asked) for dependency in chosen.choices.depends_on
            ]
    _check_no_circle(graph)


def refuse_choices(owner: str, parameters: Sequence[Parameter]) -> None:
    """Where nobody is asked anything."""
    for parameter in parameters:
        if _keywords(parameter.adapter):
            raise AuthoringError(
                f"{owner}, parameter {parameter.name!r}: only parameters of steps are chosen by a run. "
                "Move Choices() to the step that needs the value."
            )


def _chosen(owner: str, hint: Any, parameter: Parameter) -> Chosen | None:
    number = len(_keywords(parameter.adapter))
    chosen = chosen_by(hint)
    if number == 0 and chosen is None:
        return None
    if chosen is None or number > 1:
        raise AuthoringError(
            f"{owner}: Choices() stands beside the type of the parameter itself, Annotated[str, Choices(...)], or of "
            "the entries of its list. Inside of other types, nobody would be asked."
        )
    member: TypeAdapter[Any] = TypeAdapter(chosen.member)
    if holds_secret(parameter.adapter):
        raise AuthoringError(
            f"{owner}: a secret is not chosen from a list that everybody sees. Leave Choices() out."
        )
    if not _is_plain(member.json_schema()) or any(
        FILE_RULES in node for node in nodes_of(parameter.adapter.json_schema())
    ):
        raise AuthoringError(
            f"{owner}: what is chosen is one text, number or Enum. For several of them write "
            "list[Annotated[str, Choices(...)]]; in place of a file, choose its name."
        )
    return chosen


def _is_plain(schema: dict[str, Any]) -> bool:
    if reference := schema.get("$ref"):
        schema = schema["$defs"][reference.rpartition("/")[2]]
    values = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())]
    if values:
        return all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in values)
    return schema.get("type") in CHOSEN_TYPES


def _check_provider(owner: str, choices: Choices) -> None:
    provider = choices.provider
    try:
        path_of_function(provider)
    except ValueError as error:
        raise AuthoringError(f"{owner}, Choices(): {error}") from error
    name = getattr(provider, "__name__", str(provider))
    if inspect.iscoroutinefunction(provider) or inspect.isasyncgenfunction(provider):
        raise AuthoringError(f"{owner}, Choices(): {name}() is async. Give a plain function.")
    arguments = [argument_name(dependency) for dependency in choices.depends_on]
    if len(set(arguments)) < len(arguments):
        raise AuthoringError(
            f"{owner}, Choices(): {name}() would get two values under one name. It depends on "
            f"{', '.join(choices.depends_on)}: rename one of these parameters."
        )
    try:
        inspect.signature(provider).bind(**dict.fromkeys(arguments))
    except TypeError as error:
        given = ", ".join(arguments) if arguments else "nothing"
        raise AuthoringError(
            f"{owner}, Choices(): {name}() is given {given} ({error}). Name in depends_on exactly the parameters that "
            "it takes."
        ) from error


def _dependency(owner: str, step: str, dependency: str, asked: Mapping[Place, Parameter]) -> Place:
    place = dependency_of(step, dependency)
    if place not in asked:
        known = [name if other == step else f"{other}.{name}" for other, name in asked]
        raise AuthoringError(
            f"{owner}, Choices(): there is no parameter {dependency!r} to depend on that a run is asked for."
            f"{suggestion(dependency, known)}"
        )
    if holds_secret(asked[place].adapter):
        raise AuthoringError(f"{owner}, Choices(): {dependency!r} is a secret, which no provider is told.")
    if any(FILE_RULES in node for node in nodes_of(asked[place].adapter.json_schema())):
        raise AuthoringError(
            f"{owner}, Choices(): {dependency!r} takes a file, which is not there before the run."
        )
    return place


def _check_no_circle(graph: Mapping[Place, Sequence[Place]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " → ".join(".".join(place) for place in reversed(error.args[1]))
        raise AuthoringError(f"Parameters depend on each other's choices in a circle: {circle}.") from None


def _keywords(adapter: TypeAdapter[Any]) -> list[dict[str, Any]]:
    return [node for node in nodes_of(adapter.json_schema()) if CHOICE_RULES in node]
