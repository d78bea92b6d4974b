"""The parameters of a step or pipeline that take JSON: what signature and docstring say of them, and their values."""

import inspect
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any, get_args, get_origin

import docstring_parser
from pydantic import PydanticUserError, Secret, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, SchemaError, to_jsonable_python

from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.config.defaults import check_places
from zenweb.config.files import with_files
from zenweb.config.json_schema import DYNAMIC_DEFAULT, FILE_RULES
from zenweb.config.likeness import is_like
from zenweb.config.signatures import EMPTY, DeclaredParameter, declared_parameters
from zenweb.exceptions import AuthoringError, ZenWebError

logger = logging.getLogger(__name__)
LONGEST_SHOWN = 200  # characters of a value in a warning


@dataclass(frozen=True)
class Parameter:
    """A parameter whose value comes as JSON, with the value it has until a run says otherwise."""

    name: str
    adapter: TypeAdapter[Any]
    description: str
    value: Any
    """JSON; EMPTY where there is none to show."""
    is_required: bool
    """Each run has to give a value."""
    is_dynamic: bool = False
    """A value is found for each run that gives none."""


def parameter_adapters(function: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    """By parameter, what turns JSON into its type. What only an artifact can fill, a model say, has none."""
    adapters = {}
    for name, declared in declared_parameters(function).items():
        with suppress(PydanticUserError, SchemaError, AuthoringError):
            adapters[name] = _adapter(declared)
    return adapters


def typed_parameters(
    owner: str,
    function: Callable[..., Any],
    given: Mapping[str, Any],
    inputs: AbstractSet[str] = frozenset(),
    mapped: AbstractSet[str] = frozenset(),
) -> list[Parameter]:
    """The parameters that take JSON: all but the inputs. `given` goes before the signature's defaults.

    Those of `mapped` take a list, with a value for each run of the step.

    `owner` says in errors whose they are. Raises AuthoringError for a type without a JSON form and for a value that its
    own type refuses.
    """
    descriptions = _described_parameters(function)
    declared = [parameter for name, parameter in declared_parameters(function).items() if name not in inputs]
    return [
        _parameter(
            owner,
            _as_list(parameter) if parameter.name in mapped else parameter,
            given,
            descriptions.get(parameter.name, ""),
        )
        for parameter in declared
        if not _is_input_left_out(parameter, given)
    ]


def summary(function: Callable[..., Any]) -> str:
    """The first sentence of the docstring."""
    return _docstring(function).short_description or ""


def description(function: Callable[..., Any]) -> str:
    """What the docstring says before its sections."""
    parts = (_docstring(function).short_description, _docstring(function).long_description)
    return "\n\n".join(part for part in parts if part)


def _parameter(
    owner: str, declared: DeclaredParameter, given: Mapping[str, Any], described: str
) -> Parameter:
    owner = f"{owner}, parameter {declared.name!r}"
    adapter = _json_adapter(owner, declared)
    _check_secrets_say_so(owner, adapter)
    value = given.get(declared.name, _default(declared))
    is_dynamic = declared.name not in given and _is_found(owner, adapter)
    is_required = value is EMPTY and not is_dynamic
    if value is not EMPTY and value is not None and holds_secret(adapter):
        _check_secret_is_not_frozen(owner, declared, given)
        value = EMPTY  # the function's own default applies; it is written nowhere
    frozen = EMPTY if value is EMPTY else _json_value(owner, adapter, value)
    return Parameter(declared.name, adapter, described, frozen, is_required, is_dynamic)


def _as_list(declared: DeclaredParameter) -> DeclaredParameter:
    hint: Any = declared.hint
    if isinstance(declared.default, FieldInfo):
        hint = Annotated[hint, declared.default]
    return replace(declared, hint=list[hint], default=EMPTY)


def _is_found(owner: str, adapter: TypeAdapter[Any]) -> bool:
    """Whether its default is found when a run is asked for."""
    schema = adapter.json_schema()
    try:
        check_places(schema, list(nodes_of(schema)))
    except AuthoringError as error:
        raise AuthoringError(f"{owner}: {error}") from error
    return DYNAMIC_DEFAULT in schema


def _adapter(declared: DeclaredParameter) -> TypeAdapter[Any]:
    hint, default = with_files(declared.hint), declared.default
    if isinstance(default, FieldInfo):
        bounded: Any = Annotated[hint, default]
        return TypeAdapter(bounded)
    adapter: TypeAdapter[Any] = TypeAdapter(hint)
    if default is None and not _accepts(adapter, None):
        optional: Any = hint | None  # `size: int = None`
        return TypeAdapter(optional)
    return adapter


def _accepts(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


def _default(declared: DeclaredParameter) -> Any:
    default = declared.default
    if default is EMPTY or isinstance(default, FieldInfo):
        field = default if isinstance(default, FieldInfo) else FieldInfo.from_annotation(declared.hint)
        return (
            EMPTY if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
        )
    return default


def _json_adapter(owner: str, declared: DeclaredParameter) -> TypeAdapter[Any]:
    if UnmaterializedArtifact in (declared.hint, *get_args(declared.hint)):
        raise AuthoringError(f"{owner}: it takes an artifact. Connect it to an output of another step.")
    try:
        adapter = _adapter(declared)
        adapter.json_schema()
    except PydanticUserError as error:
        if error.code == "typed-dict-version":
            raise AuthoringError(
                f"{owner}: before Python 3.12, typing.TypedDict cannot be used here: "
                "import TypedDict from typing_extensions."
            ) from error
        raise AuthoringError(
            f"{owner}: the type {_shown(declared.hint)} has no JSON form, so that no form could ask for it. "
            "Connect it to an output of another step, or declare a type that can be written down, such as "
            "str, float, a Literal, a list or a pydantic model."
        ) from error
    except AuthoringError as error:
        raise AuthoringError(f"{owner}: {error}") from error
    except SchemaError as error:
        raise AuthoringError(f"{owner}: its type cannot be used: {error}.") from error
    return adapter


def _json_value(owner: str, adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        valid = adapter.validate_python(value)
        # As a form or a REST call would send it back: by alias, and without what the type computes.
        frozen = adapter.dump_python(valid, mode="json", by_alias=True, round_trip=True)
        # Some types dump NaN as null: look for it before that.
        for written in (frozen, to_jsonable_python(valid, inf_nan_mode="constants", fallback=str)):
            json.dumps(written, allow_nan=False)
    except ValidationError as error:
        reasons = "; ".join(found["msg"] for found in error.errors(include_url=False))
        raise AuthoringError(f"{owner}: {value!r} does not fit its type: {reasons}.") from error
    except (PydanticSerializationError, ValueError, TypeError) as error:
        raise AuthoringError(
            f"{owner}: {value!r} cannot be written as JSON. Use plain values, or make it in a step and connect it."
        ) from error
    _warn_of_change(owner, adapter, valid, frozen)
    return frozen


def _warn_of_change(owner: str, adapter: TypeAdapter[Any], value: Any, frozen: Any) -> None:
    """The step gets what its type makes of the JSON. Only a warning: templates were frozen before there was one."""
    try:
        arrives = adapter.validate_python(frozen)
    except (ValidationError, ZenWebError):  # a file, say, that is there only in a step
        return
    is_undeclared = adapter.core_schema["type"] == "any"
    if not is_like(value, arrives, tells_lists=is_undeclared):
        advice = "Declare its type" if is_undeclared else "Declare the type that it has"
        logger.warning(
            "%s: %s arrives in the step as %s, which is what its type makes of the JSON. %s, or make it in a step and "
            "connect it.",
            owner,
            _cut(value),
            _cut(arrives),
            advice,
        )


def _cut(value: Any) -> str:
    return repr(value)[:LONGEST_SHOWN]


def _is_input_left_out(declared: DeclaredParameter, given: Mapping[str, Any]) -> bool:
    """An optional artifact that nobody connected: there is nothing to ask for, and the function gets its own None."""
    if declared.default is not None or declared.name in given:
        return False
    try:
        _json_adapter("", declared)
    except AuthoringError:
        return True
    return False


def holds_secret(adapter: TypeAdapter[Any]) -> bool:
    return any(node.get("writeOnly") is True for node in nodes_of(adapter.json_schema()))


def takes_file(parameter: Parameter) -> bool:
    """Whether its value, or a part of it, refers to a file."""
    return any(FILE_RULES in node for node in nodes_of(parameter.adapter.json_schema()))


def _check_secrets_say_so(owner: str, adapter: TypeAdapter[Any]) -> None:
    """The JSON Schema of pydantic's `Secret[int]` is that of an int, so nobody who reads it would keep it secret."""
    if any(_is_of_generic_secret(function) for function in _functions_in(adapter.core_schema, set())):
        raise AuthoringError(
            f"{owner}: a value of the type Secret[...] would be stored and shown in clear. Use SecretStr, and make of "
            "its text what you need in the step."
        )


def _is_of_generic_secret(function: Any) -> bool:
    made_in = str(getattr(function, "__qualname__", ""))
    return getattr(function, "__module__", "") == Secret.__module__ and made_in.startswith("Secret.")


def _functions_in(schema: Any, seen: set[int]) -> Iterator[Any]:
    """All that a schema of pydantic calls; types may refer to themselves."""
    if id(schema) in seen:
        return
    seen.add(id(schema))
    if callable(schema):
        yield schema
    elif isinstance(schema, Mapping | list | tuple):
        for member in schema.values() if isinstance(schema, Mapping) else schema:
            yield from _functions_in(member, seen)


def _check_secret_is_not_frozen(owner: str, declared: DeclaredParameter, given: Mapping[str, Any]) -> None:
    if declared.name in given:
        raise AuthoringError(
            f"{owner}: a secret would be stored in clear with the pipeline. Leave it out: each run is asked for it."
        )


def nodes_of(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    members = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for member in members:
        yield from nodes_of(member)


def _shown(hint: Any) -> str:
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return f"{plain.__module__}.{plain.__qualname__}" if isinstance(plain, type) else str(plain)


def _described_parameters(function: Callable[..., Any]) -> dict[str, str]:
    return {
        found.arg_name: " ".join((found.description or "").split()) for found in _docstring(function).params
    }


def _docstring(function: Callable[..., Any]) -> docstring_parser.Docstring:
    text = inspect.getdoc(function) or ""
    try:
        return docstring_parser.parse(text)
    except docstring_parser.ParseError:  # prose that only looks like a section
        plain = docstring_parser.Docstring()
        plain.short_description = text.partition("\n")[0]
        return plain
