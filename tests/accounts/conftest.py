"""Accounts that manage others, and clients that use keys."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key

API = "/api/v1"
Ask = Callable[..., Any]


def bearer(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


def ask(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.generic(method, f"{API}{path}", json.dumps(body), content_type="application/json")


@pytest.fixture
def boss(db: None) -> User:
    """An administrator."""
    return User.objects.create_superuser(username="boss", password="boss has a long password")


@pytest.fixture
def bosses(boss: User) -> Client:
    return bearer(create_api_key(user=boss, name="tests")[1])
