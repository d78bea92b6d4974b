"""What a function's signature declares: the parameters with their types, and the outputs. Loads nothing heavy."""

import ast
import inspect
import textwrap
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

from zenweb.artifacts.artifact_config import ArtifactConfig
from zenweb.exceptions import AuthoringError

EMPTY = inspect.Parameter.empty


@dataclass(frozen=True)
class DeclaredParameter:
    name: str
    hint: Any
    """The annotation with what `Annotated` adds to it; Any where there is none."""
    default: Any
    """EMPTY where there is none."""


@dataclass(frozen=True)
class DeclaredOutput:
    name: str
    artifact_name: str | None
    """The name given by `Annotated[T, "name"]`."""
    hint: Any
    ineffective: tuple[str, ...] = ()
    """What its ArtifactConfig says that nothing comes of."""


def declared_parameters(function: Callable[..., Any]) -> dict[str, DeclaredParameter]:
    """The parameters in the order of the signature."""
    hints = _type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        _check_can_be_named(function, parameter)
    return {p.name: DeclaredParameter(p.name, hints.get(p.name, Any), p.default) for p in parameters}


def declared_outputs(function: Callable[..., Any]) -> list[DeclaredOutput]:
    """The outputs by the return annotation; without one, a single output if the function returns a value at all."""
    hints = _type_hints(function)
    if "return" not in hints:
        return [DeclaredOutput("output", None, Any)] if _returns_a_value(function) else []
    if hints["return"] in (None, types.NoneType, NoReturn):
        return []
    outputs = _split(hints["return"])
    _check_names_differ(function, outputs)
    return outputs


def _type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise AuthoringError(
            f"{function.__name__}(): the type {error.name!r} in its signature is not known when the module runs. "
            "Import it for real, not only under TYPE_CHECKING."
        ) from error


def _check_can_be_named(function: Callable[..., Any], parameter: inspect.Parameter) -> None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        raise AuthoringError(
            f"{function.__name__}(): {str(parameter)!r} cannot be asked for by its name. "
            "Give every value a named parameter of its own."
        )


def _split(hint: Any) -> list[DeclaredOutput]:
    members = typing.get_args(hint)
    if typing.get_origin(hint) is not tuple or Ellipsis in members or len(members) < 2:
        return [_output(hint, "output")]
    return [_output(member, f"output_{index}") for index, member in enumerate(members)]


def _output(hint: Any, fallback: str) -> DeclaredOutput:
    given = _name_in(hint)
    plain = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
    return DeclaredOutput(given or fallback, given, plain, _ineffective_in(hint))


def _name_in(hint: Any) -> str | None:
    extras = getattr(hint, "__metadata__", ())
    names = [extra.name if isinstance(extra, ArtifactConfig) else extra for extra in extras]
    return next((name for name in names if isinstance(name, str)), None)


def _ineffective_in(hint: Any) -> tuple[str, ...]:
    extras = getattr(hint, "__metadata__", ())
    return tuple(word for extra in extras if isinstance(extra, ArtifactConfig) for word in extra.ineffective)


def _check_names_differ(function: Callable[..., Any], outputs: list[DeclaredOutput]) -> None:
    names = [output.name for output in outputs]
    for name in names:
        if names.count(name) > 1:
            raise AuthoringError(
                f"Step {function.__name__!r} has two outputs named {name!r}: give each its own name."
            )


def _returns_a_value(function: Callable[..., Any]) -> bool:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):  # made by exec, or part of a longer line: nothing to read
        return False
    definition = next((node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)), None)
    return definition is not None and any(_is_return_of_value(node) for node in _own_nodes(definition))


def _own_nodes(definition: ast.FunctionDef) -> list[ast.AST]:
    """The nodes of a function's body, without those of the functions inside it."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(definition.body)
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def _is_return_of_value(node: ast.AST) -> bool:
    if not isinstance(node, ast.Return) or node.value is None:
        return False
    return not (isinstance(node.value, ast.Constant) and node.value.value is None)
