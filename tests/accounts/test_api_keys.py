"""API keys: made, replaced with a grace period, revoked; and what is made with one does not outlive it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.accounts.conftest import API, ask, bearer
from zenweb.accounts.models import ApiKey, User
from zenweb.accounts.services import create_api_key, rotate_api_key, update_api_key

MINE = "/current-user/api_keys"


def works(text: str) -> bool:
    return bearer(text).get(f"{API}/current-user").status_code == 200


def later(key: ApiKey, **times: Any) -> None:
    ApiKey.objects.filter(pk=key.pk).update(**times)


def test_ones_own_keys_are_made_listed_and_deleted(rest: Client, alice: User) -> None:
    made = ask(rest, "POST", MINE, {"name": "laptop", "expires_at": "2999-01-01T00:00:00"}).json()
    assert works(made["body"]["key"])
    assert made["body"]["expires_at"] == "2999-01-01T00:00:00.000000"
    assert {item["name"] for item in ask(rest, "GET", MINE).json()["items"]} == {"tests", "laptop"}
    assert ask(rest, "DELETE", f"{MINE}/laptop").json() is None
    assert not works(made["body"]["key"])


def test_only_a_hash_of_a_key_is_kept(alice: User) -> None:
    key, text = create_api_key(user=alice, name="k")
    kept = str(ApiKey.objects.values_list().get(pk=key.pk))
    assert not any(piece in kept for piece in (text, text.removeprefix("ZENKEY_")))


def test_the_former_secret_works_until_its_grace_ends(alice: User) -> None:
    key, former = create_api_key(user=alice, name="k")
    _, text = rotate_api_key(actor=alice, api_key=key, retain_period=timedelta(minutes=5))
    assert (works(former), works(text)) == (True, True)
    later(key, former_until=timezone.now() - timedelta(seconds=1))
    assert (works(former), works(text)) == (False, True)


def test_without_a_grace_the_former_secret_ends_at_once(rest: Client, alice: User) -> None:
    _, former = create_api_key(user=alice, name="k")
    text = ask(rest, "PUT", f"{MINE}/k/rotate").json()["body"]["key"]
    assert (works(former), works(text)) == (False, True)


def test_tokens_end_with_the_secret_they_were_got_with(alice: User) -> None:
    key, former = create_api_key(user=alice, name="k")
    token = Client().post(f"{API}/login", {"password": former}).json()["access_token"]
    _, text = rotate_api_key(actor=alice, api_key=key)
    assert not works(token)
    assert works(Client().post(f"{API}/login", {"password": text}).json()["access_token"])


def test_a_token_got_with_the_former_secret_ends_with_its_grace(alice: User) -> None:
    key, former = create_api_key(user=alice, name="k")
    rotate_api_key(actor=alice, api_key=key, retain_period=timedelta(minutes=5))
    token = Client().post(f"{API}/login", {"password": former}).json()["access_token"]
    assert works(token)
    later(key, former_until=timezone.now() - timedelta(seconds=1))
    assert not works(token)


def test_a_second_rotation_ends_what_the_first_retained(alice: User) -> None:
    key, first = create_api_key(user=alice, name="k")
    _, second = rotate_api_key(actor=alice, api_key=key, retain_period=timedelta(days=1))
    _, third = rotate_api_key(actor=alice, api_key=key, retain_period=timedelta(days=1))
    assert [works(text) for text in (first, second, third)] == [False, True, True]


@pytest.mark.parametrize("minutes", [-1, 43_201, 10**30, 1.5, "1", None])
def test_a_grace_that_is_none_is_refused(rest: Client, minutes: Any) -> None:
    before = ApiKey.objects.values_list("secret_hash").get(name="tests")
    assert ask(rest, "PUT", f"{MINE}/tests/rotate", {"retain_period_minutes": minutes}).status_code == 422
    assert ApiKey.objects.values_list("secret_hash").get(name="tests") == before


def test_a_key_that_is_revoked_or_over_works_no_longer_and_is_not_replaced(rest: Client, alice: User) -> None:
    key, text = create_api_key(user=alice, name="k")
    later(key, expires_at=timezone.now() - timedelta(seconds=1))
    assert not works(text)
    assert "Make a new one" in ask(rest, "PUT", f"{MINE}/k/rotate").json()["detail"][1]
    later(key, expires_at=None)
    assert ask(rest, "PUT", f"{MINE}/k", {"active": False}).json()["body"]["active"] is False
    assert not works(text)
    assert ask(rest, "PUT", f"{MINE}/k", {"active": True, "name": "l"}).json()["name"] == "l"
    assert works(text)


def test_last_use_is_written_once_a_minute(alice: User) -> None:
    key, text = create_api_key(user=alice, name="k")
    assert works(text)
    used = ApiKey.objects.get(pk=key.pk).last_used_at
    assert used is not None
    assert works(text)
    assert ApiKey.objects.get(pk=key.pk).last_used_at == used
    later(key, last_used_at=used - timedelta(seconds=61))
    assert works(text)
    assert ApiKey.objects.get(pk=key.pk).last_used_at > used - timedelta(seconds=61)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "a/b"}, "/name"),
        ({"name": "two\nlines"}, "/name"),
        ({"name": "n" * 201}, "/name"),
        ({"name": "k", "expires_at": "tomorrow"}, "/expires_at"),
        ({"name": "k", "expires_at": "2001-01-01T00:00:00"}, "/expires_at"),
        ({"name": "k", "expires_at": "9999-12-31T23:59:59-23:00"}, "/expires_at"),
        ({"name": "k", "access": "all"}, "/access"),
        ({"name": "k", "templates": []}, "/templates"),
        ({"name": "k", "templates": ["nothing of that name"]}, "/templates/0"),
        ({"name": "k", "templates": ["x"] * 101}, "/templates"),
        ({"name": "k", "description": "\0"}, "/description"),
    ],
)
def test_what_can_be_no_key_is_refused(rest: Client, body: Any, pointer: str) -> None:
    answer = ask(rest, "POST", MINE, body)
    assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (422, [pointer])
    assert ApiKey.objects.count() == 1


def test_a_name_that_is_taken_is_refused(rest: Client) -> None:
    assert ask(rest, "POST", MINE, {"name": "tests"}).status_code == 409


def test_nobody_reaches_the_keys_of_somebody_else(rest: Client, bob: User) -> None:
    key, text = create_api_key(user=bob, name="bobs")
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("PUT", "/rotate")):
        assert ask(rest, method, f"{MINE}/{key.pk}{path}", {}).status_code == 404
    assert works(text)


def test_a_key_made_with_a_key_ends_with_it(alice: User) -> None:
    soon = timezone.now() + timedelta(hours=1)
    short = bearer(create_api_key(user=alice, name="short", expires_at=soon)[1])
    create_api_key(user=alice, name="lasting")
    made = ask(short, "POST", MINE, {"name": "k", "expires_at": "2999-01-01T00:00:00"})
    assert made.status_code == 200
    assert ApiKey.objects.get(name="k").expires_at == soon
    assert ask(short, "PUT", f"{MINE}/lasting/rotate").status_code == 403
    assert ask(short, "PUT", f"{MINE}/short/rotate").status_code == 200


def test_an_account_has_a_bounded_number_of_keys(rest: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenweb.accounts.services.MOST_KEYS", 1)
    assert "at most 1" in ask(rest, "POST", MINE, {"name": "one more"}).json()["detail"][1]


def test_keys_that_have_ended_make_room(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenweb.accounts.services.MOST_KEYS", 3)
    for number in range(6):
        key, _ = create_api_key(user=alice, name=f"key {number}")
        if number:
            update_api_key(actor=alice, api_key=key, is_active=False)
    names = ApiKey.objects.filter(user=alice).order_by("created").values_list("name", flat=True)
    assert list(names) == ["key 0", "key 4", "key 5"]


def test_keys_are_listed_by_whether_they_work(rest: Client, alice: User) -> None:
    for name, times in (
        ("over", {"expires_at": timezone.now()}),
        ("revoked", {"revoked_at": timezone.now()}),
    ):
        later(create_api_key(user=alice, name=name)[0], **times)
    for asked, names in (
        ("True", {"tests"}),
        ("False", {"over", "revoked"}),
        ("notequals:True", {"over", "revoked"}),
    ):
        found = ask(rest, "GET", f"{MINE}?active={asked}").json()
        assert {item["name"] for item in found["items"]} == names
        assert {item["body"]["active"] for item in found["items"]} == {asked == "True"}
