"""Access tokens and temporary ones: they end with what they were got with, and give nobody more."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.accounts.conftest import API, ask, bearer
from zenweb.accounts.models import ApiKey, User
from zenweb.accounts.services import create_api_key
from zenweb.accounts.tokens import Credentials, issue_token

PASSWORD = "alice has a long password"


def works(token: str) -> bool:
    return bearer(token).get(f"{API}/current-user").status_code == 200


def password_token() -> str:
    form = {"grant_type": "password", "username": "alice", "password": PASSWORD}
    return str(Client().post(f"{API}/login", form).json()["access_token"])


def test_a_temporary_token_is_a_text_that_signs_in(rest: Client) -> None:
    token = ask(rest, "GET", "/api_token?token_type=generic&expires_in=60").json()
    assert isinstance(token, str)
    assert works(token)


def test_no_answer_with_a_secret_is_kept_on_the_way(rest: Client, alice: User) -> None:
    _, text = create_api_key(actor=alice, user=alice, name="ci")
    answers = [
        Client().post(f"{API}/login", {"password": text}),
        Client().post(f"{API}/device_authorization", {"client_id": "x"}),
        ask(rest, "GET", "/api_token"),
        ask(rest, "POST", "/current-user/api_keys", {"name": "new"}),
        ask(rest, "PUT", "/current-user/api_keys/ci/rotate", {}),
    ]
    assert [(answer.status_code, answer["Cache-Control"]) for answer in answers] == [(200, "no-store")] * 5


@pytest.mark.parametrize("query", ["expires_in=0", "expires_in=86401", "expires_in=x", "token_type=workload"])
def test_a_temporary_token_of_another_kind_is_refused(rest: Client, query: str) -> None:
    assert ask(rest, "GET", f"/api_token?{query}").status_code == 422


def test_a_token_ends_with_its_lifetime(alice: User) -> None:
    assert works(issue_token(Credentials(alice), timedelta(seconds=5)))
    assert not works(issue_token(Credentials(alice), timedelta(seconds=-1)))


def test_a_token_got_with_a_password_ends_with_the_password(alice: User) -> None:
    token = password_token()
    assert works(token)
    alice.set_password("alice has another password")
    alice.save()
    assert not works(token)


def test_a_temporary_token_makes_nothing_that_outlives_it(alice: User) -> None:
    create_api_key(user=alice, name="lasting")
    token = ask(bearer(password_token()), "GET", "/api_token?expires_in=60").json()
    made = ask(bearer(token), "POST", "/current-user/api_keys", {"name": "k"})
    assert made.status_code == 200
    assert ApiKey.objects.get(name="k").expires_at < timezone.now() + timedelta(seconds=61)
    assert ask(bearer(token), "PUT", "/current-user/api_keys/lasting/rotate").status_code == 403
    again = ask(bearer(token), "GET", "/api_token?expires_in=86400").json()
    third = ask(bearer(again), "POST", "/current-user/api_keys", {"name": "l"})
    assert third.status_code == 200
    assert ApiKey.objects.get(name="l").expires_at < timezone.now() + timedelta(seconds=61)


@pytest.mark.parametrize(
    "text", ["", "x", "a.b.c", "ZENKEY_", "ZENKEY_e30=", "ZENKEY_" + "A" * 10_000, "\u00e9"]
)
def test_what_is_no_token_is_answered_so_that_clients_log_in(db: None, text: str) -> None:
    answer: Any = Client(headers={"Authorization": f"Bearer {text}"}).get(f"{API}/current-user")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["detail"][0] == "CredentialsNotValid"
