"""REST for API keys: those of a service account, in ZenML's shapes, and one's own."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from zenweb.accounts.api import shapes
from zenweb.accounts.api.service_accounts import describe_service_account, find_service_account
from zenweb.accounts.models import ApiKey, User
from zenweb.accounts.services import (
    bindable_templates,
    create_api_key,
    delete_api_key,
    rotate_api_key,
    update_api_key,
)
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import NO_STORE, Json, entity, wire_time
from zenweb.api.listing import Column, Listing, find, parse_bool, parse_time, wants_hydration
from zenweb.api.operations import HYDRATE, listed, operation
from zenweb.api.repeats import acts_once, nothing, told_once
from zenweb.api.shapes import Page
from zenweb.enums import KeyAccess
from zenweb.exceptions import DoesNotExist, FieldError, ValidationFailed

MOST_TEMPLATES = 100
LAST_YEAR = 9999
MADE_BEFORE = (
    "This request was sent before with the same Idempotency-Key: the API key was made then, and its text was in the "
    "first answer, and is kept nowhere. If that answer is lost, rotate the key: that gives it a new text."
)
ROTATED_BEFORE = (
    "This request was sent before with the same Idempotency-Key: the API key was rotated then, and its new text was in "
    "the first answer, and is kept nowhere. If that answer is lost, rotate the key again, with a new Idempotency-Key."
)


def describe_api_key(key: ApiKey, hydrate: bool, text: str | None = None) -> Json:
    """`text`: the key itself, which is there only when it has just been made."""
    body = {
        "key": text,
        "active": key.is_usable,
        "service_account": describe_service_account(key.user, False),
        "expires_at": wire_time(key.expires_at),
        "access": key.access,
    }
    metadata = {
        "description": key.description,
        "retain_period_minutes": key.retain_period_minutes,
        "last_login": wire_time(key.last_used_at),
        "last_rotated": wire_time(key.rotated_at),
        # Null: it is not bound to any.
        "templates": [template.name for template in key.templates.all()] if key.is_bound else None,
    }
    return entity(key, name=key.name, body=body, metadata=metadata if hydrate else None)


def api_key_again(request: Request, made: str, account: str | None = None, **names: str) -> Json:
    return describe_api_key(find_api_key(request, made, account), True)


@dataclass(frozen=True)
class Usable(Column):
    """Whether a key would let somebody in now."""

    def compare(self, operation: str, text: str) -> Q:
        if operation != "equals":
            raise ValueError("it is either True or False")
        usable = Q(pk__in=ApiKey.objects.usable().values("pk"))
        return usable if parse_bool(text) else ~usable


API_KEYS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        "name": Column("name"),
        "description": Column("description"),
        "active": Usable("pk"),
        "last_login": Column("last_used_at", parse_time),
        "last_rotated": Column("rotated_at", parse_time),
        "created": Column("created", parse_time),
        "updated": Column("updated", parse_time),
    },
    sortable={
        "created": "created",
        "updated": "updated",
        "name": "name",
        "id": "pk",
        "last_login": "last_used_at",
    },
    describe=describe_api_key,
)


class ApiKeyBody(Body):
    """What ZenML's clients do not send is ours: what the key may do, and for how long."""

    name: str
    description: str | None = None
    expires_at: str | None = None
    access: str | None = None
    templates: list[str] | None = None


class ApiKeyUpdateBody(Body):
    name: str | None = None
    description: str | None = None
    active: bool | None = None


class RotationBody(Body):
    retain_period_minutes: int = 0


class ApiKeyList(APIView):
    """The keys of an account; of one's own where the address names none."""

    @operation("List API keys.", parameters=listed(API_KEYS), answer=Page[shapes.ApiKey])
    def get(self, request: Request, account: str | None = None) -> Response:
        return API_KEYS.answer(visible_api_keys(request, account), request.query_params)

    @acts_once(told_once(MADE_BEFORE))
    @operation(
        "Make an API key: its text is in this answer and nowhere else.",
        body=ApiKeyBody,
        example={"name": "ci", "access": "run", "templates": ["daily-retraining"]},
        answer=shapes.ApiKey,
    )
    def post(self, request: Request, account: str | None = None) -> Response:
        body = read_body(ApiKeyBody, request)
        owner = owner_of_keys(request, account)
        key, text = create_api_key(
            actor=cast(User, request.user),
            user=owner,
            name=body.name,
            description=body.description or "",
            expires_at=_moment(body.expires_at),
            access=_access(body.access),
            templates=_templates(request, body.templates),
        )
        return Response(describe_api_key(key, True, text), headers=NO_STORE)


class ApiKeyDetail(APIView):
    @operation("Get an API key.", parameters=(HYDRATE,), answer=shapes.ApiKey)
    def get(self, request: Request, key: str, account: str | None = None) -> Response:
        found = find_api_key(request, key, account)
        return Response(describe_api_key(found, wants_hydration(request.query_params, default=True)))

    @acts_once(api_key_again)
    @operation(
        "Rename, describe, revoke or restore an API key.",
        body=ApiKeyUpdateBody,
        example={"active": False},
        answer=shapes.ApiKey,
    )
    def put(self, request: Request, key: str, account: str | None = None) -> Response:
        body = read_body(ApiKeyUpdateBody, request)
        changed = update_api_key(
            actor=cast(User, request.user),
            api_key=find_api_key(request, key, account),
            name=body.name,
            description=body.description,
            is_active=body.active,
        )
        return Response(describe_api_key(changed, True))

    @acts_once(nothing)
    @operation("Delete an API key.")
    def delete(self, request: Request, key: str, account: str | None = None) -> Response:
        delete_api_key(actor=cast(User, request.user), api_key=find_api_key(request, key, account))
        return Response(None)


class ApiKeyRotation(APIView):
    @acts_once(told_once(ROTATED_BEFORE))
    @operation(
        "Give an API key another text.",
        body=RotationBody,
        example={"retain_period_minutes": 60},
        answer=shapes.ApiKey,
    )
    def put(self, request: Request, key: str, account: str | None = None) -> Response:
        body = read_body(RotationBody, request)
        # Longer than any calendar has is longer than any limit.
        minutes = max(-1, min(body.retain_period_minutes, 10**9))
        rotated, text = rotate_api_key(
            actor=cast(User, request.user),
            api_key=find_api_key(request, key, account),
            retain_period=timedelta(minutes=minutes),
        )
        return Response(describe_api_key(rotated, True, text), headers=NO_STORE)


def owner_of_keys(request: Request, account: str | None) -> User:
    return cast(User, request.user) if account is None else find_service_account(request, account)


def visible_api_keys(request: Request, account: str | None) -> QuerySet[ApiKey]:
    keys = ApiKey.objects.visible_to(cast(User, request.user))
    return (
        keys.filter(user=owner_of_keys(request, account)).select_related("user").prefetch_related("templates")
    )


def find_api_key(request: Request, key: str, account: str | None) -> ApiKey:
    return cast(ApiKey, find(visible_api_keys(request, account), key, "API key"))


def _moment(text: str | None) -> Any:
    if text is None:
        return None
    try:
        moment = parse_time(text)
        if moment.year >= LAST_YEAR:  # which another zone's clock may put behind the end of the calendar
            raise ValueError(text)
        return moment
    except ValueError as error:
        sentence = f"{text!r} is not a moment such as 2030-12-31T00:00:00."
        raise ValidationFailed([FieldError("/expires_at", sentence)]) from error


def _access(text: str | None) -> KeyAccess | None:
    try:
        return None if text is None else KeyAccess(text)
    except ValueError as error:
        sentence = f"access is one of {', '.join(KeyAccess)}, not {text!r}."
        raise ValidationFailed([FieldError("/access", sentence)]) from error


def _templates(request: Request, names: list[str] | None) -> list[Any] | None:
    """By name or id, each that who asks may see."""
    if names is None:
        return None
    if len(names) > MOST_TEMPLATES:
        sentence = f"A key is bound to {MOST_TEMPLATES} run templates at most."
        raise ValidationFailed([FieldError("/templates", sentence)])
    visible, found, errors = bindable_templates(cast(User, request.user)), [], []
    for index, name in enumerate(names):
        try:
            found.append(find(visible, name, "run template"))
        except DoesNotExist as error:
            errors.append(FieldError(f"/templates/{index}", str(error)))
    if errors:
        raise ValidationFailed(errors)
    return found
