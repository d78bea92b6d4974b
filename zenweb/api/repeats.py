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

from zenweb.accounts.keyed_requests import claim, kept_of
from zenweb.accounts.models import KeyedRequest
from zenweb.api.listing import flag
from zenweb.api.operations import DRY_RUN, IDEMPOTENCY_KEY, REPLAYED
from zenweb.exceptions import DoesNotExist, EntityExists, FieldError, ValidationFailed
from zenweb.sealing import keyed_hash, keyed_hashes

LONGEST_KEY = 255
LONGEST_ROUTE = 300
GONE = (
    "This was done before, when it was sent with the same Idempotency-Key, and is not done again; but what it made or "
    "changed is not there any more, or not for you to see."
)
ANOTHER_BODY = "This Idempotency-Key was used before with another body. Use a new key."
REPLAY = {"Idempotent-Replayed": "true"}
Method = TypeVar("Method", bound=Callable[..., Response])


def id_of(answer: Any) -> str:
    """What an answer tells of: nearly every one has an id."""
    return str(answer["id"]) if answer else ""


def no_text(answer: Any) -> str:
    """Nothing is kept of an answer that tells how things are: it is told anew."""
    return ""


def acts_once(
    again: Callable[..., Any],
    made: Callable[[Any], str] = id_of,
    *,
    prepare: Callable[..., Any] | None = None,
    tell: Callable[[Request, Any], Any] | None = None,
) -> Callable[[Method], Method]:
    """Above a view's method that changes something: with an Idempotency-Key it does so once.

    All that the method does is one transaction, and so are its row and what it does: there are both or neither, also
    where many send the same at the same moment. What was refused leaves nothing behind, and its key may be used again.
    A dry run does nothing, and so nothing is kept of it.

    `made`: what is kept of the first answer, a short text. `again(request, made, **names in the path)`: the answer to
    the same request, as its GET would give it; it checks what the caller may see. Answers are not stored: they may hold
    what one may not see any more, or what is told once only.

    What takes a while and writes nothing has its place outside of the transaction, for which others wait:
    `prepare(request, **names)` before it, whose result the method gets after the request; `tell(request, data)` after
    it, which makes the answer of what the method gave.
    """

    def decorate(method: Method) -> Method:
        described = method.operation  # type: ignore[attr-defined]  # by `@operation`, below this one
        may_be_dry = DRY_RUN in described.parameters

        prepared, told = _preparing(prepare), _telling(tell)

        @wraps(method)
        def once(view: Any, request: Request, **names: str) -> Response:
            key = idempotency_key(request)
            if not key or (may_be_dry and flag(request.query_params, "dry_run")):
                return told(request, method(view, request, *prepared(request, names), **names))
            digest = _digest_of(request)  # the body arrives before anybody has to wait for this request
            asked = KeyedRequest(
                user_id=request.user.pk, route=route_of(request), key=key, body_hash=keyed_hash(digest)
            )
            if (kept := kept_of(asked)) is None:
                ready = prepared(request, names)
                with transaction.atomic():
                    if (kept := claim(asked)).pk == asked.pk:
                        answer = method(view, request, *ready, **names)
                        KeyedRequest.objects.filter(pk=asked.pk).update(made=made(answer.data))
                if kept.pk == asked.pk:
                    return told(request, answer)
            if kept.body_hash not in keyed_hashes(digest):
                raise ValidationFailed(ANOTHER_BODY)
            try:
                return Response(again(request, kept.made, **names), headers=REPLAY)
            except DoesNotExist as error:
                raise DoesNotExist(GONE) from error

        once.operation = replace(  # type: ignore[attr-defined]
            described,
            parameters=(*described.parameters, IDEMPOTENCY_KEY),
            headers={**described.headers, **REPLAYED},
            errors=described.errors | {404, 409, 422},
        )
        return once  # type: ignore[return-value]

    return decorate


def _preparing(prepare: Callable[..., Any] | None) -> Callable[[Request, dict[str, str]], list[Any]]:
    """What a method is given beside its request and the names in the path."""
    return lambda request, names: [prepare(request, **names)] if prepare else []


def _telling(tell: Callable[[Request, Any], Any] | None) -> Callable[[Request, Response], Response]:
    return lambda request, answer: Response(tell(request, answer.data)) if tell else answer


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
