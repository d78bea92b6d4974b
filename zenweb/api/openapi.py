"""REST described in OpenAPI 3.1: drf-spectacular finds the routes, `@operation` says what each takes and answers."""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache, wraps
from threading import Lock
from typing import Any, TypeVar, get_args, get_origin

import yaml
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from rest_framework.permissions import AllowAny

from zenweb.api.examples import example_of
from zenweb.api.operations import JSON, NOT_JSON, PROJECT, Operation
from zenweb.api.shapes import Page, Problem

Made = TypeVar("Made")
# The former is there on most machines, and some times faster.
Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
COMPONENT = "#/components/schemas/{model}"
# Whatever is sent, this may be answered.
ANY_BODY = frozenset({400, 413, 422})
# Whatever is changed: a key may do less than its account, a browser sends its token, two may want the same at once.
CHANGING = frozenset({403, 409})
# Whatever is asked for, this may be answered.
ANYWHERE = frozenset({500, 503})
# What each status means, and the class that its answer names first.
STATUSES = {
    400: ("The body cannot be read.", "ValueError"),
    401: ("Who asks is not known: log in, or send another key.", "CredentialsNotValid"),
    403: ("Not yours to do, or not now.", "IllegalOperationError"),
    404: ("Not there, or not for you to see.", "KeyError"),
    409: (
        "The name is taken, somebody did the same at this moment, or what is told once was told before.",
        "EntityExistsError",
    ),
    411: ("The body has to say beforehand how long it is.", "ValueError"),
    413: ("The body is larger than the server takes.", "ValueError"),
    416: ("The file has none of the bytes that were asked for.", "ValueError"),
    422: ("Understood and refused: `errors` names each place.", "ValueError"),
    500: ("Something went wrong; the server's log says more.", "RuntimeError"),
    503: (
        "The database does not answer, or too many ask for the same. Ask again after `Retry-After` seconds.",
        "RuntimeError",
    ),
}
HEADERS = {
    401: {
        "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
        "Retry-After": {
            "description": "After too many wrong passwords: for how many seconds to wait.",
            "schema": {"type": "integer"},
        },
    },
    416: {"Content-Range": {"description": "`bytes */` and the size.", "schema": {"type": "string"}}},
    503: {"Retry-After": {"description": "For how many seconds to wait.", "schema": {"type": "integer"}}},
}
PATH_PARAMETERS = {
    "name_or_id": "A name, an id, or as many of an id's first characters as no other has.",
    "account": "A service account's name, id, or the beginning of an id.",
    "key": "An API key's name, id, or the beginning of an id.",
    "preset": "A preset's name, id, or the beginning of an id.",
    "sha256": "The SHA-256 of the archive's uncompressed tar, in hexadecimal digits.",
    "step_name": "A step's name.",
}
AN_ID = "An id, or as many of its first characters as no other has."


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "zenweb.accounts.authentication.BearerAuthentication"
    match_subclasses = True
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, or an access token of `/login`.",
        }


class WireSchema(AutoSchema):
    """Describes a view's method by its `Operation`."""

    @property
    def operation(self) -> Operation:
        described: Operation = getattr(self.view, self.method.lower()).operation
        return described

    def is_excluded(self) -> bool:
        """tests/wire/test_description.py finds out who has forgotten it."""
        return not hasattr(getattr(self.view, self.method.lower()), "operation")

    def get_operation_id(self) -> str:
        words = re.sub(r"(?<!^)(?=[A-Z])", "_", type(self.view).__name__).lower()
        # A view may serve several addresses.
        tail = "_of_" + self._tokenize_path()[0].replace("-", "_") if "{account}" in self.path else ""
        return f"{self.method.lower()}_{words}{tail}"

    def get_summary(self) -> str:
        return self.operation.summary

    def get_response_serializers(self) -> None:
        """There are no serializers here."""

    def get_override_parameters(self) -> list[OpenApiParameter]:
        names = re.findall(r"{(\w+)}", self.path)
        return [
            *(
                OpenApiParameter(name, str, "path", description=PATH_PARAMETERS.get(name, AN_ID))
                for name in names
            ),
            *(
                OpenApiParameter(
                    each.name,
                    each.schema,
                    each.location,
                    required=each.is_required,
                    description=each.description,
                )
                for each in self.operation.parameters
            ),
        ]

    def _get_request_body(self, direction: Any = "request") -> dict[str, Any] | None:
        operation = self.operation
        if operation.body is None and not operation.body_as:
            return None
        content: dict[str, Any] = {media: {"schema": schema} for media, schema in operation.body_as.items()}
        required = bool(operation.is_body_required)
        if operation.body is not None:
            schema = self._schema(operation.body, "validation")
            example = {} if operation.example is None else operation.example
            typed = {media: {"schema": schema, "example": example} for media in operation.body_types}
            content = typed | content
            if operation.is_body_required is None:
                required = bool(self._resolved(schema).get("required"))
        return {"content": content, "required": required}

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        operation = self.operation
        content: dict[str, Any] = {media: {"schema": schema} for media, schema in operation.also.items()}
        if operation.answer is not NOT_JSON:
            schema = self._schema(operation.answer, "serialization")
            content = {JSON: {"schema": schema, "example": example_of(schema, self._schemas())}} | content
        answers: dict[str, Any] = {"200": {"description": "Done.", "content": content}}
        if operation.headers:
            text = {"schema": {"type": "string"}}
            told = {name: text | {"description": sentence} for name, sentence in operation.headers.items()}
            answers["200"]["headers"] = told
        for status, (sentence, contents) in operation.otherwise.items():
            answers[str(status)] = {
                "description": sentence,
                "content": {media: {"schema": schema} for media, schema in contents.items()},
            }
        return answers | {str(status): self._refusal(status) for status in sorted(self._errors())}

    def _errors(self) -> Iterator[int]:
        operation, is_public = self.operation, AllowAny in self.view.permission_classes
        yield from operation.errors | ANYWHERE
        if not is_public:
            yield 401
            if self.method != "GET":
                yield from CHANGING
        if "{" in self.path or PROJECT in operation.parameters:
            yield 404
        if operation.body is not None or operation.body_as:
            yield from ANY_BODY
        if any(each.location == "query" for each in operation.parameters):
            yield 422

    def _refusal(self, status: int) -> dict[str, Any]:
        sentence, kind = STATUSES[status]
        problem = self._schema(Problem, "serialization")
        answer = {
            "description": sentence,
            "content": {JSON: {"schema": problem, "example": {"detail": [kind, sentence]}}},
        }
        if status in HEADERS:
            answer["headers"] = HEADERS[status]
        return self._component(f"Answer{status}", ResolvedComponent.RESPONSE, answer)

    def _schema(self, shape: Any, mode: Any) -> dict[str, Any]:
        """A reference to the shape, or its schema where it has no name."""
        schema, parts = schema_of(shape, mode)
        for name, part in parts.items():
            self._component(name, ResolvedComponent.SCHEMA, part)
        name = name_of(shape)
        return self._component(name, ResolvedComponent.SCHEMA, schema) if name else schema

    def _component(self, name: str, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        component = ResolvedComponent(name, kind, schema=content, object=name)
        if component not in self.registry:
            self.registry.register(component)
        elif self.registry[component].schema != content:
            raise LookupError(f"Two shapes are called {name}: give one of them another name.")
        return dict(component.ref)

    def _schemas(self) -> dict[str, Any]:
        return dict(self.registry.build({}).get("schemas", {}))

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        name = schema.get("$ref", "").rpartition("/")[2]
        return dict(self._schemas()[name]) if name else schema


class Untitled(GenerateJsonSchema):
    """What has a name needs no title, which would say the same again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@cache
def schema_of(shape: Any, mode: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON Schema of a shape, and those of the shapes in it by their names."""
    schema = TypeAdapter(shape).json_schema(mode=mode, ref_template=COMPONENT, schema_generator=Untitled)
    parts = schema.pop("$defs", {})
    for each in (schema, *parts.values()):
        each.pop("title", None)
    return schema, parts


def name_of(shape: Any) -> str:
    """What a shape is called in the description; "" for what is no shape of ours."""
    if get_origin(shape) is Page:
        return f"{name_of(get_args(shape)[0])}Page"
    return (
        str(shape.__name__)
        if isinstance(shape, type) and shape.__module__ not in {"builtins", "typing"}
        else ""
    )


def once(make: Callable[[], Made]) -> Callable[[], Made]:
    """Made once in each process, however many ask for it at first."""
    made, one_at_a_time = cache(make), Lock()

    @wraps(make)
    def give() -> Made:
        with one_at_a_time:
            return made()

    return give


@once
def description() -> dict[str, Any]:
    """All of it."""
    return dict(SchemaGenerator(urlconf="zenweb.urls").get_schema(public=True))


@once
def description_as_json() -> bytes:
    return json.dumps(description(), ensure_ascii=False).encode()


@once
def description_as_yaml() -> bytes:
    return bytes(
        yaml.dump(description(), Dumper=Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")
    )
