"""One Idempotency-Key, one effect: a request that is sent again is answered, and does nothing again."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from zenweb.accounts.keyed_requests import claim
from zenweb.accounts.models import KeyedRequest
from zenweb.api.operations import IDEMPOTENCY_KEY, REPLAYED
from zenweb.exceptions import DoesNotExist, EntityExists, FieldError, ValidationFailed
from zenweb.sealing import keyed_hash, keyed_hashes

LONGEST_KEY = 255
LONGEST_ROUTE = 300
GONE = (
    "This was done before, when it was sent with the same Idempotency-Key, and is not done again; but what it made or "
    "changed is not there any more, or not for you to see."
)
REPLAY = {"Idempotent-Replayed": "true"}
Method = TypeVar("Method", bound=Callable[..., Response])


def id_of(answer: Any) -> str:
    """What an answer tells of: nearly every one has an id."""
    return str(answer["id"]) if answer else ""


def acts_once(again: Callable[..., Any], made: Callable[[Any], str] = id_of) -> Callable[[Method], Method]:
    """Above a view's method that changes something: with an Idempotency-Key it does so once.

    All of it is one transaction, and so are its row and what it does: there are both or neither, also where many send
    the same at the same moment. What was refused leaves nothing behind, and its key may be used again.

    `made`: what is kept of the first answer, a short text. `again(request, made, **names in the path)`: the answer to
    the same request, as its GET would give it; it checks what the caller may see. Answers are not stored: they may hold
    what one may not see any more, or what is told once only.
    """

    def decorate(method: Method) -> Method:
        @wraps(method)
        def once(view: Any, request: Request, **names: str) -> Response:
            if not (key := idempotency_key(request)):
                return method(view, request, **names)
            digest = _digest_of(request)  # the body arrives before anybody has to wait for this request
            asked = KeyedRequest(
                user_id=request.user.pk, route=route_of(request), key=key, body_hash=keyed_hash(digest)
            )
            with transaction.atomic():
                kept = claim(asked)
                if kept.pk == asked.pk:
                    answer = method(view, request, **names)
                    KeyedRequest.objects.filter(pk=asked.pk).update(made=made(answer.data))
                    return answer
            if kept.body_hash not in keyed_hashes(digest):
                raise ValidationFailed(
                    "This Idempotency-Key was used before with another body. Use a new key."
                )
            try:
                return Response(again(request, kept.made, **names), headers=REPLAY)
            except DoesNotExist as error:
                raise DoesNotExist(GONE) from error

        described = once.operation  # type: ignore[attr-defined]  # by `@operation`, below this one
        once.operation = replace(  # type: ignore[attr-defined]
            described,
            parameters=(*described.parameters, IDEMPOTENCY_KEY),
            headers={**described.headers, **REPLAYED},
            errors=described.errors | {404, 409, 422},
        )
        return once  # type: ignore[return-value]

    return decorate


def nothing(request: Request, made: str, **names: str) -> None:
    """How deletions are answered again, and whatever else tells nothing."""


def told_once(sentence: str) -> Callable[..., Any]:
    """How a request is answered again that made a secret: the secret was in the first answer, and is kept nowhere."""

    def refuse(request: Request, made: str, **names: str) -> None:
        raise EntityExists(sentence)

    return refuse


def idempotency_key(request: Request) -> str:
    """Cut off, the beginning of one key would be that of another."""
    key: str = request.headers.get("Idempotency-Key", "")
    if len(key) > LONGEST_KEY:
        sentence = f"An Idempotency-Key has {LONGEST_KEY} characters at most."
        raise ValidationFailed([FieldError("/Idempotency-Key", sentence)])
    return key


def route_of(request: Request) -> str:
    return f"{request.method} {request.path}"[:LONGEST_ROUTE]


def _digest_of(request: Request) -> str:
    """Of all that was asked for: the address as a whole, and the body as it was understood."""
    body = request.data
    address = [request.path, sorted(request.query_params.lists())]
    text = json.dumps([address, None if isinstance(body, bytes) else body], sort_keys=True).encode()
    return hashlib.sha256(text + (body if isinstance(body, bytes) else b"")).hexdigest()
