"""Changing one's own password, and all that ends with the former one."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.web.test_account import browser_of
from zenweb import settings as product
from zenweb.accounts.models import AuditEvent, BrowserSession, User
from zenweb.accounts.services import PASSWORD_BRAKE, change_password, create_api_key
from zenweb.exceptions import NotAllowed

FORMER, NEW = "alice has a long password", "quite another one, and longer"


@pytest.fixture
def browser(alice: User) -> Client:
    return browser_of(alice)


def change(browser: Client, **fields: str) -> Any:
    return browser.post(reverse("password-change"), {"current": FORMER, "new": NEW, "again": NEW, **fields})


def token_for(password: str) -> Any:
    return Client().post("/api/v1/login", {"username": "alice", "password": password})


def works(text: str) -> bool:
    return Client(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/current-user").status_code == 200


def test_a_password_is_changed_and_what_the_former_one_signed_in_ends(browser: Client, alice: User) -> None:
    other, token = browser_of(alice), token_for(FORMER).json()["access_token"]
    key = create_api_key(user=alice, name="ci")[1]
    page = browser.get(change(browser)["Location"])
    assert "Your password is changed" in page.text
    assert other.get(reverse("account")).status_code == 302
    assert (works(token), works(key)) == (False, True)
    assert [session.session_key for session in BrowserSession.objects.all()] == [browser.session.session_key]
    assert (token_for(FORMER).status_code, token_for(NEW).status_code) == (401, 200)
    event = AuditEvent.objects.get(verb="change_password")
    assert (event.user_name, event.before, event.after) == ("alice", None, None)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"current": "wrong"}, "This is not your password."),
        ({"current": ""}, "This field is required."),
        ({"again": "something else"}, "These two are not the same."),
        ({"new": "short", "again": "short"}, "at least 10 characters"),
        ({"new": "password12", "again": "password12"}, "too common"),
        ({"new": FORMER, "again": FORMER}, "This is the password that you have."),
        ({"new": "x" * 1001, "again": "x" * 1001}, "at most 1000 characters"),
    ],
)
def test_what_can_be_no_password_is_told_at_its_field(
    browser: Client, alice: User, fields: dict[str, str], sentence: str
) -> None:
    page = change(browser, **fields)
    assert (page.status_code, sentence in page.text) == (422, True)
    assert FORMER not in page.text
    alice.refresh_from_db()
    assert alice.check_password(FORMER)


def test_whoever_guesses_at_the_password_has_to_wait(browser: Client, alice: User) -> None:
    for _ in range(PASSWORD_BRAKE.free):
        change(browser, current="a guess")
    page = change(browser)
    assert (page.status_code, "Too many wrong tries" in page.text) == (422, True)
    alice.refresh_from_db()
    assert alice.check_password(FORMER)


def test_who_guesses_at_it_keeps_nobody_waiting_who_comes_from_elsewhere(
    browser: Client, alice: User
) -> None:
    fields, url = {"current": "a guess", "new": NEW, "again": NEW}, reverse("password-change")
    guesses = [
        browser.post(url, fields, REMOTE_ADDR=f"2001:db8::{place}")
        for place in range(PASSWORD_BRAKE.free + 1)
    ]
    assert "Too many wrong tries" in guesses[-1].text  # neighbours in a network are one
    assert browser.post(url, fields | {"current": FORMER}, REMOTE_ADDR="192.0.2.7").status_code == 302


def test_who_has_no_password_has_none_to_change(alice: User, client: Client) -> None:
    alice.set_unusable_password()
    alice.save()
    client.force_login(alice)
    assert reverse("password-change") not in client.get(reverse("account")).text
    with pytest.raises(NotAllowed, match="signs in with API keys"):
        change_password(actor=alice, current="", new=NEW)


def test_a_form_of_another_site_changes_no_password(alice: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    assert change(strict).status_code == 403


def test_passwords_are_hashed_with_argon2(alice: User, settings: Any) -> None:
    settings.PASSWORD_HASHERS = [*product.PASSWORD_HASHERS, *settings.PASSWORD_HASHERS]
    change_password(actor=alice, current=FORMER, new=NEW)
    assert User.objects.get(pk=alice.pk).password.startswith("argon2$argon2id$")
