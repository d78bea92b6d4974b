"""Signing in over REST, and who and where one is."""

import re
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from django.conf import settings
from django.db import connection
from django.db.models import Case, When
from django.http import HttpResponse
from django.urls import reverse
from pydantic import Field
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from zenweb.accounts.addresses import client_address, program_of
from zenweb.accounts.api import shapes
from zenweb.accounts.device_login import (
    INTERVAL,
    LIFETIME,
    finish_device_login,
    shown_code,
    start_device_login,
)
from zenweb.accounts.models import ApiKey, Project, User
from zenweb.accounts.services import sign_in
from zenweb.accounts.tokens import Credentials, issue_token
from zenweb.api.bodies import Body
from zenweb.api.envelope import NO_STORE, Json, user_entity
from zenweb.api.operations import FORM, JSON, NOT_JSON, TEXT, Parameter, operation
from zenweb.api.parsing import BoundedFormParser, StrictJSONParser
from zenweb.api.shapes import User as UserShape
from zenweb.exceptions import FieldError, ValidationFailed

KEY_GRANT, DEVICE_GRANT = "zenml-api-key", "urn:ietf:params:oauth:grant-type:device_code"
TOKEN_DEFAULTS = {"token_type": "generic", "expires_in": "3600"}
# ZenML's clients and ours say in their User-Agent on which machine they are.
HOST = re.compile(r"\bHost/(\S+)")
SERVER_ID = uuid.uuid5(uuid.NAMESPACE_URL, settings.PUBLIC_URL)


class PublicView(APIView):
    """Who asks need not be known, and is not looked at."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class SignInView(PublicView):
    """Programs send what they know as a form, or as JSON."""

    parser_classes = (BoundedFormParser, MultiPartParser, StrictJSONParser)


class LoginBody(Body):
    password: str | None = Field(
        default=None, description="An API key alone, or the password of `username`.", examples=["ZENKEY_…"]
    )
    username: str | None = None
    grant_type: str | None = Field(
        default=None, description=f"`password`, `{KEY_GRANT}` or `{DEVICE_GRANT}`; may be left out."
    )
    client_id: str | None = Field(default=None, description="As `/device_authorization` was told it.")
    device_code: str | None = None


class DeviceBody(Body):
    client_id: str | None = Field(default=None, description="Any text of one's own, such as a UUID.")


class Info(PublicView):
    @operation("Tell which server this is.", answer=shapes.ServerInfo)
    def get(self, request: Request) -> Response:
        """What ZenML's clients ask before they log in, and which ZenWeb this is."""
        return Response(server_info())


class Version(PublicView):
    @operation("Tell which version of ZenML's interface this is.", answer=NOT_JSON, also={"text/plain": TEXT})
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(settings.ZENML_API_VERSION, content_type="text/plain")


class Login(SignInView):
    @operation(
        "Sign in: an access token for an API key, a password or a confirmed code.",
        body=LoginBody,
        body_types=(JSON, FORM),
        example={"password": "ZENKEY_…"},
        answer=shapes.Token,
        errors=(401,),
    )
    def post(self, request: Request) -> Response:
        """An access token for an API key (`password` alone), a user name and password, or a code that was confirmed."""
        grant = text_field(request, "grant_type")
        if grant == DEVICE_GRANT:
            return Response(_answer_device(request), headers=NO_STORE)
        password = text_field(request, "password")
        if not password:
            raise ValidationFailed("Send `password`: an API key, or the password that belongs to `username`.")
        username = "" if grant == KEY_GRANT else text_field(request, "username")
        credentials = sign_in(username=username, password=password, address=client_address(request._request))
        token = issue_token(credentials, settings.ACCESS_TOKEN_LIFETIME)
        return Response(_token_answer(token, settings.ACCESS_TOKEN_LIFETIME), headers=NO_STORE)


class DeviceAuthorization(SignInView):
    @operation(
        "Start a sign-in that a person confirms in the browser.",
        body=DeviceBody,
        body_types=(JSON, FORM),
        example={"client_id": "0f7e3b1a-5c64-4d0e-9a52-3c8d1f6b7a90"},
        answer=shapes.DeviceCode,
        errors=(401,),
    )
    def post(self, request: Request) -> Response:
        """A code for a program that wants to be signed in; a person confirms it in the browser."""
        program = program_of(request._request)
        started = start_device_login(
            client_id=text_field(request, "client_id"),
            program=program,
            machine=machine[1] if (machine := HOST.search(program)) else "",
            address=client_address(request._request),
        )
        page, code = settings.PUBLIC_URL + reverse("device-login"), shown_code(started.login.user_code)
        return Response(
            {
                "device_code": started.device_code,
                "user_code": code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?code={code}",
                "expires_in": int(LIFETIME.total_seconds()),
                "interval": int(INTERVAL.total_seconds()),
            },
            headers=NO_STORE,
        )


class CurrentUser(APIView):
    @operation("Tell who one is.", answer=UserShape)
    def get(self, request: Request) -> Response:
        user = cast(User, request.user)
        metadata = {"email": user.email or None, "external_user_id": None, "user_metadata": {}}
        told = cast(Json, user_entity(user, metadata))
        told["body"]["default_project_id"] = _id_of_first_project(user)
        return Response(told)


class ApiToken(APIView):
    @operation(
        "Get a temporary token.",
        parameters=(
            Parameter("token_type", "There are generic ones only.", {"type": "string", "enum": ["generic"]}),
            Parameter(
                "expires_in",
                "Seconds.",
                {"type": "integer", "minimum": 1, "maximum": 86_400, "default": 3600},
            ),
        ),
        answer=str,
        errors=(403,),
    )
    def get(self, request: Request) -> Response:
        """A temporary token for whoever asks, for a day at most; it ends with the key or token that asks for it."""
        kind, seconds = (request.query_params.get(name, default) for name, default in TOKEN_DEFAULTS.items())
        if kind != "generic":
            raise ValidationFailed(
                [FieldError("/token_type", f"There are generic tokens only, not {kind!r}.")]
            )
        if not seconds.isdecimal() or len(seconds) > 6 or not 1 <= int(seconds) <= 86_400:
            raise ValidationFailed("expires_in is a number of seconds between 1 and 86400.")
        credentials = Credentials(cast(User, request.user), cast(ApiKey | None, request.auth))
        token = issue_token(credentials, timedelta(seconds=int(seconds)), is_temporary=True)
        return Response(token, headers=NO_STORE)


def _id_of_first_project(user: User) -> str | None:
    """The one that ZenML's clients open where they are told none, of several that are seen: `default` if it is."""
    first = Project.objects.visible_to(user).order_by(
        Case(When(name=Project.DEFAULT, then=0), default=1), "name"
    )
    found = first.values_list("pk", flat=True).first()
    return str(found) if found else None


def server_info() -> Json:
    return {
        "id": str(SERVER_ID),
        "name": "default",
        "version": settings.ZENML_API_VERSION,
        "active": True,
        "debug": settings.DEBUG,
        "deployment_type": "other",
        "database_type": connection.vendor,
        "secrets_store_type": "none",
        "auth_scheme": "OAUTH2_PASSWORD_BEARER",
        "server_url": settings.PUBLIC_URL,
        "dashboard_url": settings.PUBLIC_URL,
        "analytics_enabled": False,
        "metadata": {},
        "last_user_activity": None,
        "pro_dashboard_url": None,
        "pro_api_url": None,
        "pro_organization_id": None,
        "pro_organization_name": None,
        "pro_workspace_id": None,
        "pro_workspace_name": None,
        "zenweb_version": settings.VERSION,
    }


def text_field(request: Request, name: str) -> str:
    """A field of a form or of JSON; "" where it is missing. Raises ValidationFailed for what is no text."""
    fields = {} if request.data is None else request.data
    if not isinstance(fields, Mapping):
        raise ValidationFailed("Send a form, or a JSON object.")
    value = fields.get(name)
    if not isinstance(value, str | None):
        raise ValidationFailed([FieldError(f"/{name}", f"{name} is a text.")])
    return value or ""


def _answer_device(request: Request) -> Json:
    """An API key is a token too; as one it can be seen and taken away on the account page."""
    api_key, text = finish_device_login(
        client_id=text_field(request, "client_id"), device_code=text_field(request, "device_code")
    )
    answer = _token_answer(text, settings.DEVICE_LOGIN_LIFETIME)
    return answer | {"device_id": str(api_key.pk), "device_metadata": {}}


def _token_answer(token: str, lifetime: timedelta) -> Json:
    return {
        "access_token": token,
        "token_type": "bearer",
        "expires_in": int(lifetime.total_seconds()),
        "refresh_token": None,
        "csrf_token": None,
        "scope": None,
        "device_id": None,
        "device_metadata": None,
    }
