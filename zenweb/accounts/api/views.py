"""Signing in over REST, and who and where one is."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import api_view, authentication_classes, parser_classes, permission_classes
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from zenweb.accounts.models import ApiKey, Project, User
from zenweb.accounts.services import Credentials, issue_token, sign_in
from zenweb.api.envelope import Json, entity, user_entity
from zenweb.api.listing import Column, Listing, find
from zenweb.api.parsing import StrictJSONParser
from zenweb.exceptions import ValidationFailed

SERVER_ID = uuid.uuid5(uuid.NAMESPACE_URL, settings.PUBLIC_URL)


@api_view(["GET"])
@authentication_classes([])
@permission_classes([AllowAny])
def info(request: Request) -> Response:
    """What ZenML's clients ask before they log in, and which ZenWeb this is."""
    return Response(
        {
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
    )


def version(request: HttpRequest) -> HttpResponse:
    return HttpResponse(settings.ZENML_API_VERSION, content_type="text/plain")


@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
@parser_classes([FormParser, MultiPartParser, StrictJSONParser])
def login(request: Request) -> Response:
    """An access token for an API key (`password` alone) or for a user name and password."""
    fields = request.data if isinstance(request.data, Mapping) else {}
    password = fields.get("password", "")
    if not isinstance(password, str) or not password:
        raise ValidationFailed("Send `password`: an API key, or the password that belongs to `username`.")
    grant = fields.get("grant_type", "")
    username = "" if grant == "zenml-api-key" else fields.get("username", "")
    token = issue_token(sign_in(username=username, password=password), settings.ACCESS_TOKEN_LIFETIME)
    return Response(_token_answer(token, settings.ACCESS_TOKEN_LIFETIME))


@api_view(["GET"])
def current_user(request: Request) -> Response:
    user = cast(User, request.user)
    return Response(
        user_entity(user, {"email": user.email or None, "external_user_id": None, "user_metadata": {}})
    )


@api_view(["GET"])
def api_token(request: Request) -> Response:
    """A temporary token for whoever asks; at most as long-lived as a day."""
    seconds = request.query_params.get("expires_in", "3600")
    if not seconds.isdecimal() or len(seconds) > 6 or not 1 <= int(seconds) <= 86_400:
        raise ValidationFailed("expires_in is a number of seconds between 1 and 86400.")
    credentials = Credentials(cast(User, request.user), cast(ApiKey | None, request.auth))
    return Response(issue_token(credentials, timedelta(seconds=int(seconds))))


def describe_project(project: Project, hydrate: bool) -> Json:
    metadata = {"description": ""} if hydrate else None
    return entity(project, name=project.name, body={"display_name": project.display_name}, metadata=metadata)


PROJECTS = Listing(
    columns={"name": Column("name"), "id": Column("pk", uuid.UUID)},
    sortable={"created": "created", "name": "name"},
    describe=describe_project,
)


@api_view(["GET"])
def projects(request: Request) -> Response:
    return PROJECTS.answer(Project.objects.all(), request.query_params)


@api_view(["GET"])
def project(request: Request, name_or_id: str) -> Response:
    return Response(describe_project(find(Project.objects.all(), name_or_id, "project"), True))


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
