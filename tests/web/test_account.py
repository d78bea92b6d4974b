"""The account page: keys are made, replaced and revoked; browsers are signed out."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from templates_app.models import RunTemplate
from zenweb.accounts.models import ApiKey, BrowserSession, User
from zenweb.accounts.services import create_api_key
from zenweb.exceptions import EntityExists

PASSWORD = "alice has a long password"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def browser_of(user: User, agent: str = FIREFOX) -> Client:
    """Signed in by the form."""
    client = Client(headers={"User-Agent": agent})
    form = {"username": user.username, "password": f"{user.username} has a long password"}
    assert client.post(reverse("login"), form).status_code == 302
    return client


@pytest.fixture
def browser(alice: User) -> Client:
    return browser_of(alice)


def make(browser: Client, **fields: Any) -> Any:
    return browser.post(reverse("account"), {"name": "ci", "days": "30", "access": "run", **fields})


def key_in(page: Any) -> str:
    found = re.search(r"ZENKEY_[\w=+/]+", page.text)
    assert found
    return found[0]


def works(text: str) -> bool:
    return Client(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/current-user").status_code == 200


def test_a_key_is_made_and_shown_once(browser: Client, template: RunTemplate) -> None:
    text = key_in(make(browser, templates=[str(template.pk)]))
    assert works(text)
    key = ApiKey.objects.get(name="ci")
    assert (key.access, key.is_bound, list(key.templates.all())) == ("run", True, [template])
    assert key.expires_at is not None
    page = browser.get(reverse("account")).text
    assert "ZENKEY_" not in page
    assert "daily-retraining" in page


def test_a_key_may_have_no_end(browser: Client) -> None:
    make(browser, days="never", access="full")
    key = ApiKey.objects.get()
    assert (key.expires_at, key.access, key.is_bound) == (None, "full", False)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "a/b"}, "no slash"),
        ({"days": "9"}, "valid choice"),
        ({"days": ""}, "This field is required"),
        ({"access": "all"}, "valid choice"),
        ({"name": "taken"}, "already has an API key"),
    ],
)
def test_what_can_be_no_key_is_told_at_its_field(
    browser: Client, alice: User, fields: dict[str, str], sentence: str
) -> None:
    create_api_key(user=alice, name="taken")
    page = make(browser, **fields)
    assert (page.status_code, sentence in page.text) == (422, True)
    assert ApiKey.objects.count() == 1


def test_a_key_that_is_bound_may_not_do_everything(browser: Client, template: RunTemplate) -> None:
    page = make(browser, access="full", templates=[str(template.pk)])
    assert "may run them or only see them" in page.text
    assert f'value="{template.pk}" id="id_templates_0" checked' in page.text


def test_a_key_is_replaced_with_a_grace(browser: Client, alice: User) -> None:
    key, former = create_api_key(user=alice, name="ci")
    text = key_in(browser.post(reverse("key-rotate", args=[key.pk]), {"minutes": "60"}))
    assert (works(former), works(text), text != former) == (True, True, True)
    text = key_in(browser.post(reverse("key-rotate", args=[key.pk]), {"minutes": "0"}))
    assert (works(former), works(text)) == (False, True)
    assert browser.post(reverse("key-rotate", args=[key.pk]), {"minutes": "7"}).status_code == 302
    assert works(text)


def test_a_key_is_revoked(browser: Client, alice: User) -> None:
    key, text = create_api_key(user=alice, name="ci")
    page = browser.post(reverse("key-revoke", args=[key.pk]), follow=True)
    assert ("works no longer" in page.text, "Revoked" in page.text, works(text)) == (True, True, False)
    remove = reverse("key-remove", args=[key.pk])
    assert f'action="{remove}"' in page.text
    assert "Revoked" not in browser.post(remove, follow=True).text
    assert not ApiKey.objects.exists()


def test_the_name_of_a_key_that_has_ended_can_be_used_again(browser: Client, alice: User) -> None:
    for number, end in enumerate(({"revoked_at": timezone.now()}, {"expires_at": timezone.now()})):
        key, _ = create_api_key(user=alice, name="ci")
        ApiKey.objects.filter(pk=key.pk).update(**end)
        text = key_in(make(browser))
        assert works(text)
        assert [each.pk == key.pk for each in ApiKey.objects.all()] == [False], number
        ApiKey.objects.all().delete()


def test_the_name_of_a_key_of_an_account_that_is_switched_off_is_taken(alice: User, bob: User) -> None:
    key, _ = create_api_key(user=bob, name="ci")
    User.objects.update(is_active=False)
    with pytest.raises(EntityExists):
        create_api_key(user=bob, name="ci")
    assert ApiKey.objects.get() == key


@pytest.mark.parametrize("name", ["key-rotate", "key-revoke", "key-remove"])
def test_the_keys_of_others_are_not_there(browser: Client, bob: User, name: str) -> None:
    key, text = create_api_key(user=bob, name="bobs")
    assert browser.post(reverse(name, args=[key.pk]), {"minutes": "0"}).status_code == 404
    assert works(text)
    assert "bobs" not in browser.get(reverse("account")).text


def test_forms_of_other_sites_change_nothing(alice: User) -> None:
    key, text = create_api_key(user=alice, name="ci")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    addresses = [
        reverse("account"),
        reverse("key-rotate", args=[key.pk]),
        reverse("key-revoke", args=[key.pk]),
        reverse("sessions-end"),
    ]
    assert [strict.post(address).status_code for address in addresses] == [403] * 4
    assert works(text)


def test_browsers_are_listed_and_signed_out(browser: Client, alice: User) -> None:
    other = browser_of(
        alice, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/605"
    )
    page = browser.get(reverse("account")).text
    assert all(words in page for words in ("Firefox on Linux", "Safari on iOS", "from 127.0.0.1", "This one"))
    theirs = BrowserSession.objects.exclude(session_key=browser.session.session_key).get()
    assert theirs.session_key not in page
    browser.post(reverse("session-end", args=[theirs.handle]))
    assert other.get(reverse("account")).status_code == 302
    assert browser.get(reverse("account")).status_code == 200


def test_a_session_tells_when_it_was_active_last(
    browser: Client, alice: User, django_assert_num_queries: Any
) -> None:
    other = browser_of(alice)
    theirs = BrowserSession.objects.filter(session_key=other.session.session_key)
    long_ago = timezone.now() - timedelta(hours=3)
    theirs.update(active_at=long_ago)
    assert "last active <time" in browser.get(reverse("account")).text
    assert "3\N{NO-BREAK SPACE}hours ago" in browser.get(reverse("account")).text
    other.get(reverse("account"))
    noted = theirs.get().active_at
    assert noted is not None
    assert noted > long_ago
    with django_assert_num_queries(7):  # within a minute nothing is written again
        other.get(reverse("account"))
    assert theirs.get().active_at == noted


def test_all_other_browsers_are_signed_out_at_once(browser: Client, alice: User, bob: User) -> None:
    others, bobs = [browser_of(alice) for _ in range(2)], browser_of(bob)
    assert "2 other browsers are signed out" in browser.post(reverse("sessions-end"), follow=True).text
    assert [other.get(reverse("account")).status_code for other in others] == [302, 302]
    assert (browser.get(reverse("account")).status_code, bobs.get(reverse("account")).status_code) == (
        200,
        200,
    )


def test_nobody_ends_the_session_of_somebody_else(browser: Client, bob: User) -> None:
    bobs = browser_of(bob)
    handle = BrowserSession.objects.get(user=bob).handle
    browser.post(reverse("session-end", args=[handle]))
    assert bobs.get(reverse("account")).status_code == 200


def test_whoever_signs_in_clears_away_what_has_expired(browser: Client, alice: User, bob: User) -> None:
    BrowserSession.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    browser_of(bob)
    assert [session.user for session in BrowserSession.objects.all()] == [bob]


def test_signing_out_leaves_no_session(browser: Client, alice: User) -> None:
    browser.post(reverse("logout"))
    assert not BrowserSession.objects.filter(user=alice).exists()


def test_the_admin_has_no_door_of_its_own(client: Client, alice: User) -> None:
    wanted = client.get(reverse("admin:index"), follow=True)
    assert wanted.redirect_chain[-1][0].startswith(reverse("login"))
    client.force_login(alice)
    assert client.get(reverse("admin:index"), follow=True).status_code == 403


def test_the_page_takes_a_constant_number_of_queries(
    browser: Client, alice: User, template: RunTemplate, django_assert_num_queries: Any
) -> None:
    for number in range(5):
        create_api_key(user=alice, name=f"k{number}", templates=[template])
        browser_of(alice)
    # Session, user, standing (2), offered templates, keys, their templates, sessions.
    with django_assert_num_queries(8):
        browser.get(reverse("account"))
