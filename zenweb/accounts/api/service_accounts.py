"""REST for service accounts, in ZenML's shapes."""

import uuid
from typing import cast

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from zenweb.accounts.api import shapes
from zenweb.accounts.models import User
from zenweb.accounts.services import create_service_account, delete_service_account, update_service_account
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import Json, entity
from zenweb.api.listing import Column, Listing, find, parse_bool, parse_time, wants_hydration
from zenweb.api.operations import HYDRATE, listed, operation
from zenweb.api.repeats import acts_once, nothing
from zenweb.api.shapes import Page


def describe_service_account(account: User, hydrate: bool) -> Json:
    body = {"full_name": account.get_full_name(), "active": account.is_active, "avatar_url": None}
    metadata = {"description": account.description, "external_user_id": None} if hydrate else None
    return entity(account, name=account.username, body=body, metadata=metadata)


def service_account_again(request: Request, made: str, **names: str) -> Json:
    return describe_service_account(find_service_account(request, made), True)


SERVICE_ACCOUNTS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        "name": Column("username"),
        "description": Column("description"),
        "active": Column("is_active", parse_bool),
        "created": Column("date_joined", parse_time),
        "updated": Column("updated", parse_time),
    },
    sortable={"created": "date_joined", "updated": "updated", "name": "username", "id": "pk"},
    describe=describe_service_account,
)


class ServiceAccountBody(Body):
    name: str
    description: str | None = None
    active: bool = True


class ServiceAccountUpdateBody(Body):
    name: str | None = None
    description: str | None = None
    active: bool | None = None


class ServiceAccountList(APIView):
    @operation(
        "List service accounts.", parameters=listed(SERVICE_ACCOUNTS), answer=Page[shapes.ServiceAccount]
    )
    def get(self, request: Request) -> Response:
        return SERVICE_ACCOUNTS.answer(visible_service_accounts(request), request.query_params)

    @acts_once(service_account_again)
    @operation(
        "Make a service account.",
        body=ServiceAccountBody,
        example={"name": "ci"},
        answer=shapes.ServiceAccount,
    )
    def post(self, request: Request) -> Response:
        body = read_body(ServiceAccountBody, request)
        account = create_service_account(
            actor=cast(User, request.user),
            name=body.name,
            description=body.description or "",
            is_active=body.active,
        )
        return Response(describe_service_account(account, True))


class ServiceAccountDetail(APIView):
    @operation("Get a service account.", parameters=(HYDRATE,), answer=shapes.ServiceAccount)
    def get(self, request: Request, account: str) -> Response:
        found = find_service_account(request, account)
        hydrate = wants_hydration(request.query_params, default=True)
        return Response(describe_service_account(found, hydrate))

    @acts_once(service_account_again)
    @operation(
        "Rename, describe or switch off a service account.",
        body=ServiceAccountUpdateBody,
        example={"active": False},
        answer=shapes.ServiceAccount,
    )
    def put(self, request: Request, account: str) -> Response:
        body = read_body(ServiceAccountUpdateBody, request)
        changed = update_service_account(
            actor=cast(User, request.user),
            account=find_service_account(request, account),
            name=body.name,
            description=body.description,
            is_active=body.active,
        )
        return Response(describe_service_account(changed, True))

    @acts_once(nothing)
    @operation("Delete a service account.")
    def delete(self, request: Request, account: str) -> Response:
        delete_service_account(actor=cast(User, request.user), account=find_service_account(request, account))
        return Response(None)


def visible_service_accounts(request: Request) -> QuerySet[User]:
    return User.service_accounts.visible_to(cast(User, request.user))


def find_service_account(request: Request, account: str) -> User:
    return cast(User, find(visible_service_accounts(request), account, "service account", "username"))
