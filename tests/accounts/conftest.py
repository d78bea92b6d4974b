"""Accounts that manage others, and clients that use keys."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from templates_app.models import RunTemplate
from zenweb.accounts.models import RoleGrant, User
from zenweb.accounts.services import create_api_key
from zenweb.enums import Role

API = "/api/v1"
Ask = Callable[..., Any]


def bearer(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


def ask(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.generic(method, f"{API}{path}", json.dumps(body), content_type="application/json")


def rest_of(user: User) -> Client:
    return bearer(create_api_key(user=user, name=f"key {user.api_keys.count()}")[1])


def give(user: User, template: RunTemplate, role: Role) -> RoleGrant:
    """From now on the user is this to the template, whatever they were."""
    return RoleGrant.objects.update_or_create(user=user, template=template, defaults={"role": role})[0]


@pytest.fixture
def boss(db: None) -> User:
    """An administrator."""
    return User.objects.create_superuser(username="boss", password="boss has a long password")


@pytest.fixture
def bosses(boss: User) -> Client:
    return bearer(create_api_key(user=boss, name="tests")[1])
