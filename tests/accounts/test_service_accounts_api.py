"""Service accounts over REST: administrators make them, and machines use their keys."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.accounts.conftest import API, ask, bearer
from zenweb.accounts.models import ApiKey, AuditEvent, User
from zenweb.accounts.services import create_service_account, update_service_account

TIMES = {"created", "updated"}


@pytest.fixture
def machine(boss: User) -> User:
    return create_service_account(actor=boss, name="ci")


def test_an_account_is_made_in_zenmls_shape(bosses: Client) -> None:
    answer = ask(bosses, "POST", "/service_accounts", {"name": "ci", "active": True, "description": "builds"})
    entity = answer.json()
    assert answer.status_code == 200
    assert set(entity["body"]) == {*TIMES, "full_name", "active", "avatar_url"}
    assert entity["metadata"] == {"description": "builds", "external_user_id": None}
    assert (entity["name"], entity["permission_denied"], entity["resources"]) == ("ci", False, None)


def test_a_key_is_made_and_shown_once(bosses: Client, machine: User) -> None:
    made = ask(bosses, "POST", "/service_accounts/ci/api_keys", {"name": "k1", "description": "d"}).json()
    assert {"key", "active", "service_account", *TIMES} <= set(made["body"])
    assert (made["body"]["active"], made["body"]["service_account"]["name"]) == (True, "ci")
    facts = {"description": "d", "retain_period_minutes": 0, "last_login": None, "last_rotated": None}
    assert made["metadata"] | facts == made["metadata"]
    assert bearer(made["body"]["key"]).get(f"{API}/current-user").json()["body"]["is_service_account"] is True
    again = ask(bosses, "GET", f"/service_accounts/{machine.pk}/api_keys/k1").json()
    assert (again["id"], again["body"]["key"]) == (made["id"], None)
    assert again["metadata"]["last_login"] is not None


@pytest.mark.parametrize("way", ["ci", "id", "prefix"])
def test_an_account_is_found_by_name_id_and_beginning(bosses: Client, machine: User, way: str) -> None:
    names = {"ci": "ci", "id": str(machine.pk), "prefix": str(machine.pk)[:8]}
    assert ask(bosses, "GET", f"/service_accounts/{names[way]}").json()["id"] == str(machine.pk)


def test_lists_are_filtered_sorted_and_hydrated_when_asked(bosses: Client, boss: User) -> None:
    for name, is_active in (("ci", True), ("nightly", False)):
        create_service_account(actor=boss, name=name, is_active=is_active)
    page = ask(bosses, "GET", "/service_accounts?sort_by=desc:name&hydrate=True").json()
    assert [item["name"] for item in page["items"]] == ["nightly", "ci"]
    assert page["items"][0]["metadata"] is not None
    page = ask(bosses, "GET", "/service_accounts?active=False&name=startswith:night").json()
    assert [(item["name"], item["metadata"]) for item in page["items"]] == [("nightly", None)]


def test_switched_off_none_of_its_keys_works(bosses: Client, machine: User) -> None:
    text = ask(bosses, "POST", "/service_accounts/ci/api_keys", {"name": "k1"}).json()["body"]["key"]
    changed = ask(bosses, "PUT", "/service_accounts/ci", {"active": False, "name": "builder"}).json()
    assert (changed["name"], changed["body"]["active"]) == ("builder", False)
    assert bearer(text).get(f"{API}/current-user").status_code == 401
    assert ask(bosses, "DELETE", "/service_accounts/builder").json() is None
    assert not ApiKey.objects.filter(name="k1").exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "ci"}, 409),
        ({"name": "boss"}, 409),
        ({"name": ""}, 422),
        ({"name": "a/b"}, 422),
        ({"name": "a b"}, 422),
        ({"name": "x" * 151}, 422),
        ({"name": "c" * 32}, 422),
        ({"name": "new", "description": "x" * 1001}, 422),
        ({}, 422),
        ([], 422),
    ],
)
def test_what_can_be_no_account_is_refused(bosses: Client, machine: User, body: Any, status: int) -> None:
    assert ask(bosses, "POST", "/service_accounts", body).status_code == status
    assert User.objects.count() == 2


def test_nobody_else_makes_sees_or_changes_them(rest: Client, machine: User) -> None:
    assert ask(rest, "POST", "/service_accounts", {"name": "mine"}).status_code == 403
    assert ask(rest, "GET", "/service_accounts").json()["total"] == 0
    for method, path in (
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("POST", "/api_keys"),
        ("GET", "/api_keys"),
    ):
        assert ask(rest, method, f"/service_accounts/ci{path}", {"name": "x"}).status_code == 404
    assert ApiKey.objects.filter(user=machine).count() == 0


def test_a_service_account_manages_its_own_keys_only(bosses: Client, boss: User, machine: User) -> None:
    create_service_account(actor=boss, name="other")
    text = ask(bosses, "POST", "/service_accounts/ci/api_keys", {"name": "k1"}).json()["body"]["key"]
    machines = bearer(text)
    rotated = ask(machines, "PUT", "/service_accounts/ci/api_keys/k1/rotate", {"retain_period_minutes": 5})
    assert rotated.status_code == 200
    assert [item["name"] for item in ask(machines, "GET", "/service_accounts").json()["items"]] == ["ci"]
    assert ask(machines, "POST", "/service_accounts/other/api_keys", {"name": "k"}).status_code == 404
    assert ask(machines, "DELETE", "/service_accounts/ci").status_code == 403


def test_lists_take_a_constant_number_of_queries(
    bosses: Client, boss: User, machine: User, django_assert_num_queries: Any
) -> None:
    ApiKey.objects.update(last_used_at=timezone.now())
    for number in range(5):
        create_service_account(actor=boss, name=f"m{number}")
        ask(bosses, "POST", "/service_accounts/ci/api_keys", {"name": f"k{number}"})
    with django_assert_num_queries(3):  # the key, the number, the rows
        ask(bosses, "GET", "/service_accounts?hydrate=true")
    with django_assert_num_queries(5):  # and the account, and the keys' templates
        ask(bosses, "GET", f"/service_accounts/{machine.pk}/api_keys?hydrate=true")


def test_who_changes_an_account_undoes_nothing_that_another_changed_meanwhile(
    boss: User, machine: User
) -> None:
    seen_before = User.objects.get(pk=machine.pk)
    update_service_account(actor=boss, account=machine, is_active=False)
    update_service_account(actor=boss, account=seen_before, name="robot")
    machine.refresh_from_db()
    assert (machine.username, machine.is_active) == ("robot", False)
    assert AuditEvent.objects.filter(verb="change")[0].after == {"username": "robot"}
