"""Guessing passwords is slowed down, and keeps nobody out for good."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.accounts.conftest import API
from zenweb.accounts.addresses import client_address, network_of
from zenweb.accounts.models import FailedTries, User
from zenweb.accounts.services import ACCOUNT_BRAKE, ADDRESS_BRAKE
from zenweb.exceptions import TooManyTries

PASSWORD = "alice has a long password"
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"


def sign_in(password: str, address: str = HERE, username: str = "alice") -> Any:
    form = {"grant_type": "password", "username": username, "password": password}
    return Client(REMOTE_ADDR=address).post(f"{API}/login", form)


def exhaust(address: str = HERE, username: str = "alice") -> None:
    for _ in range(ACCOUNT_BRAKE.free):
        assert "do not belong together" in sign_in("wrong", address, username).json()["detail"][1]


def wait(seconds: float) -> None:
    """As if that time had passed."""
    for tries in FailedTries.objects.all():
        tries.last_at -= timedelta(seconds=seconds)
        tries.save()


def test_after_some_wrong_passwords_even_the_right_one_has_to_wait(alice: User) -> None:
    exhaust()
    refused = sign_in(PASSWORD)
    assert refused.status_code == 401
    assert "Try again in 2 seconds" in refused.json()["detail"][1]
    assert refused["Retry-After"] == "2"
    wait(1.1)
    assert sign_in(PASSWORD).json()["detail"][1].endswith("Try again in 1 second.")
    wait(1)
    assert sign_in(PASSWORD).status_code == 200


def test_the_owner_comes_in_from_elsewhere(alice: User) -> None:
    exhaust()
    assert sign_in(PASSWORD).status_code == 401
    assert sign_in(PASSWORD, ELSEWHERE).status_code == 200


def test_waits_grow_up_to_a_limit(alice: User) -> None:
    exhaust()
    for seconds in (2, 4, 8):
        assert f"in {seconds} seconds" in sign_in("wrong").json()["detail"][1]
        wait(seconds)
        assert "do not belong together" in sign_in("wrong").json()["detail"][1]
    FailedTries.objects.update(count=10_000)
    assert "in 15 minutes" in sign_in("wrong").json()["detail"][1]


def test_trying_while_one_has_to_wait_makes_the_wait_no_longer(alice: User) -> None:
    exhaust()
    for _ in range(5):  # more would take seconds themselves where the machine is busy
        sign_in("wrong")
    wait(2)
    assert sign_in(PASSWORD).status_code == 200


def test_the_right_password_clears_what_went_wrong(alice: User) -> None:
    for _ in range(3):
        for _ in range(ACCOUNT_BRAKE.free - 1):
            sign_in("wrong")
        assert sign_in(PASSWORD).status_code == 200


def test_many_accounts_are_not_guessed_at_from_one_address(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    FailedTries.objects.create(
        key=ADDRESS_BRAKE._key((HERE,)), count=ADDRESS_BRAKE.free, last_at=timezone.now()
    )
    assert "Too many wrong tries" in sign_in("wrong", username="somebody new").json()["detail"][1]
    assert FailedTries.objects.count() == 1


def test_tries_at_many_accounts_add_up(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenweb.accounts.services.ADDRESS_BRAKE", replace(ADDRESS_BRAKE, free=10))
    said = [sign_in("wrong", username=f"user{number}").json()["detail"][1] for number in range(12)]
    assert ["Too many" in sentence for sentence in said] == [False] * 10 + [True] * 2


def test_what_nobody_looked_at_is_not_paid_for_by_the_neighbours(alice: User) -> None:
    exhaust()
    FailedTries.objects.filter(key=ACCOUNT_BRAKE._key(("alice", HERE))).update(count=20)
    before = FailedTries.objects.get(key=ADDRESS_BRAKE._key((HERE,))).count
    for _ in range(20):
        assert "Too many" in sign_in("wrong").json()["detail"][1]
    assert FailedTries.objects.get(key=ADDRESS_BRAKE._key((HERE,))).count == before


def test_an_office_that_mistypes_now_and_then_is_never_kept_out(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zenweb.accounts.services.ADDRESS_BRAKE", replace(ADDRESS_BRAKE, free=4))
    for number in range(10):
        sign_in("wrong", username=f"mistyped {number}")
        wait(60 * 60)
        assert sign_in(PASSWORD).status_code == 200, f"after {number}"


def test_half_of_a_character_is_no_name(alice: User) -> None:
    form = b'{"username": "\\ud800", "password": "x"}'
    refused = Client(REMOTE_ADDR=HERE).post(f"{API}/login", form, content_type="application/json")
    assert refused.status_code == 401
    assert "do not belong together" in refused.json()["detail"][1]


def test_an_account_of_ones_own_does_not_help_with_guessing(alice: User, bob: User) -> None:
    exhaust()
    before = FailedTries.objects.get(key=ADDRESS_BRAKE._key((HERE,))).count
    assert sign_in("bob has a long password", username="bob").status_code == 200
    assert FailedTries.objects.get(key=ADDRESS_BRAKE._key((HERE,))).count == before
    assert sign_in(PASSWORD).status_code == 401


def test_neighbours_in_an_ipv6_network_are_one(alice: User) -> None:
    exhaust("2001:db8::1")
    assert "Too many" in sign_in(PASSWORD, "2001:db8::2:3").json()["detail"][1]
    assert sign_in(PASSWORD, "2001:db8:0:1::1").status_code == 200


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:40000", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]:40000", "2001:db8::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("who knows", "unknown"),
    ],
)
def test_whom_an_address_counts_for(rf: Any, settings: Any, address: str, network: str) -> None:
    settings.BEHIND_PROXY = True
    request = rf.get("/", headers={"X-Forwarded-For": f"198.51.100.7, {address}"})
    assert network_of(client_address(request)) == network


def test_after_a_day_nothing_is_left(alice: User) -> None:
    exhaust()
    wait(25 * 60 * 60)
    sign_in("wrong", username="another")
    assert FailedTries.objects.filter(last_at__lt=timezone.now() - timedelta(days=1)).count() == 0
    exhaust()


def test_a_clock_that_is_set_back_makes_nobody_wait_longer(alice: User) -> None:
    exhaust()
    wait(-60 * 60)
    assert "in 2 seconds" in sign_in(PASSWORD).json()["detail"][1]


def test_behind_a_proxy_the_address_is_the_one_that_the_proxy_tells(alice: User, settings: Any) -> None:
    settings.BEHIND_PROXY = True
    told = Client(REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": f"{ELSEWHERE}, {HERE}"})
    form = {"username": "alice", "password": "wrong"}
    for _ in range(ACCOUNT_BRAKE.free):
        told.post(f"{API}/login", form)
    other = Client(REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": f"{HERE}, {ELSEWHERE}"})
    assert told.post(f"{API}/login", form | {"password": PASSWORD}).status_code == 401
    assert other.post(f"{API}/login", form | {"password": PASSWORD}).status_code == 200


def test_the_page_has_the_same_brake(client: Client, alice: User) -> None:
    form = {"username": "alice", "password": "wrong"}
    for _ in range(ACCOUNT_BRAKE.free):
        assert "do not belong together" in client.post(reverse("login"), form).text
    assert "Try again in 2 seconds" in client.post(reverse("login"), form | {"password": PASSWORD}).text


@pytest.mark.django_db(transaction=True)
def test_of_many_tries_at_once_no_more_are_looked_at() -> None:
    def is_looked_at(_: int) -> bool:
        try:
            ACCOUNT_BRAKE.take("alice", HERE)
        except TooManyTries:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(is_looked_at, range(40))) == ACCOUNT_BRAKE.free
