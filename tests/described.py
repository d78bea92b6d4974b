"""Every answer that a test gets from REST is held against REST's description: what it says is what is done."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from jsonschema_rs import Draft202012Validator

from zenweb.api.errors import not_found
from zenweb.api.openapi import description

Respond = Callable[[HttpRequest], HttpResponse]


def hold_against_description(respond: Respond) -> Respond:
    """Middleware. What is wrong is raised, and so fails the test that asked."""

    def middleware(request: HttpRequest) -> HttpResponse:
        answer = respond(request)
        match = request.resolver_match
        if match and match.route.startswith("api/v1/") and match.func is not not_found:
            path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", match.route)
            if wrong := what_is_wrong(path, (request.method or "").lower(), answer):
                raise AssertionError(f"{request.method} {path} answered {answer.status_code}. {wrong}")
        return answer

    return middleware


def what_is_wrong(path: str, method: str, answer: HttpResponse) -> str:
    """A sentence; "" where the answer is as described."""
    methods = description()["paths"].get(path, {})
    if method not in methods:
        return "" if answer.status_code == 405 or method in {"head", "options"} else "It is not described."
    described = methods[method]["responses"]
    if str(answer.status_code) not in described:
        return f"Described are {', '.join(described)}."
    media = answer.headers.get("Content-Type", "").partition(";")[0]
    if (
        not answer.streaming
        and not answer.content
        and not described[str(answer.status_code)].get("content", True)
    ):
        return ""
    validator = validator_of(path, method, str(answer.status_code), media)
    if validator is None:
        return f"It is not described as {media}."
    if media != "application/json":
        return ""
    told = json.loads(answer.content)
    return "" if validator.is_valid(told) else deepest(validator.evaluate(told).errors())


def deepest(errors: list[Any]) -> str:
    """Of what may have several forms, all but one are wrong at once: what is wrong deep inside tells more."""
    ranked = sorted(errors, key=lambda error: str(error["instanceLocation"]).count("/"), reverse=True)
    return "; ".join(f"{error['instanceLocation']}: {error['error']}"[:300] for error in ranked[:3])


@cache
def validator_of(path: str, method: str, status: str, media: str) -> Draft202012Validator | None:
    """Of an answer; None where it has no such kind of content."""
    answer = description()["paths"][path][method]["responses"][status]
    if "$ref" in answer:
        answer = description()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    if media not in answer["content"]:
        return None
    schema = answer["content"][media]["schema"]
    return Draft202012Validator(closed(schema) | {"components": components()}, validate_formats=True)


@cache
def components() -> Any:
    return closed(description()["components"])


def closed(schema: Any) -> Any:
    """With no other keys than those described: callers are told to expect more of them, tests are not."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **inner} if isinstance(schema.get("properties"), dict) else inner
