"""REST is described in OpenAPI. That the description tells the truth is tried by every test: tests/described.py."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from drf_spectacular.validation import validate_schema
from jsonschema_rs import Draft202012Validator
from ruamel.yaml import YAML

from tests.accounts.test_key_scopes import routes
from tests.described import validator_of, what_is_wrong
from zenweb.api.openapi import description

METHODS = [(path, method) for path, methods in description()["paths"].items() for method in methods]


DOCS = Path(__file__).parents[2] / "docs" / "api.md"
TOLD = re.compile(r"`((?:GET|POST|PUT|DELETE|PATCH)(?:, [A-Z]+)*) (/[^`?]*)(?:\?[^`]*)?`")


def without_names(method: str, path: str) -> str:
    return f"{method.upper()} {re.sub(r'{[^}]+}', '{}', path)}"


def test_routes_and_the_description_and_the_documentation_tell_the_same() -> None:
    served = {f"{route.method} /{route.pattern}" for route in routes()}
    described = {without_names(method, path.removeprefix("/api/v1")) for path, method in METHODS}
    told = {
        without_names(method, path)
        for methods, path in TOLD.findall(DOCS.read_text())
        for method in methods.split(", ")
    }
    assert sorted(described ^ served) == []
    assert sorted(told ^ served) == []


def test_anybody_may_read_it(client: Client) -> None:
    told = client.get("/api/v1/openapi.json").json()
    validate_schema(told)
    assert told["openapi"] == "3.1.0"
    assert YAML(typ="safe").load(client.get("/api/v1/openapi.yaml").content) == told


@pytest.mark.parametrize(("path", "method"), METHODS)
def test_examples_are_what_they_are_examples_of(path: str, method: str) -> None:
    told = description()["paths"][path][method]
    for media, content in told["responses"]["200"]["content"].items():
        if "example" in content:
            validator = validator_of(path, method, "200", media)
            assert validator is not None
            validator.validate(content["example"])
    for content in told.get("requestBody", {"content": {}})["content"].values():
        if "example" in content:
            schema: Any = content["schema"] | {"components": description()["components"]}
            Draft202012Validator(schema).validate(content["example"])


def test_no_two_methods_have_one_name() -> None:
    names = [description()["paths"][path][method]["operationId"] for path, method in METHODS]
    assert sorted(names) == sorted(set(names))
    assert json.dumps(names).isascii()


@pytest.mark.parametrize(
    ("status", "media", "body", "wrong"),
    [
        (200, "application/json", {"goes_on": True}, ""),
        (404, "application/json", {"detail": ["KeyError", "There is no run."]}, ""),
        (200, "application/json", {"goes_on": "yes"}, "goes_on"),
        (200, "application/json", {}, "goes_on"),
        (200, "application/json", {"goes_on": True, "more": 1}, "more"),
        (200, "text/html", {"goes_on": True}, "text/html"),
        (418, "application/json", {}, "Described are 200"),
    ],
)
def test_an_answer_that_is_not_described_is_found(status: int, media: str, body: Any, wrong: str) -> None:
    answer = HttpResponse(json.dumps(body), status=status, content_type=media)
    found = what_is_wrong("/api/v1/runs/{name_or_id}/lease", "post", answer)
    assert (wrong in found) if wrong else (found == "")
