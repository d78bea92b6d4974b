"""A program is signed in by a person who confirms its code in the browser."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.accounts.conftest import API, bearer
from zenweb.accounts import device_login
from zenweb.accounts.models import ApiKey, DeviceLogin, User
from zenweb.exceptions import DoesNotExist

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT = str(uuid.uuid4())
AGENT = "Host/laptop ZenML/0.84.3 Python/3.11.9 Linux"


@pytest.fixture
def browser(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def start(**fields: Any) -> Any:
    form = {"client_id": CLIENT, **fields}
    return Client().post(f"{API}/device_authorization", form, headers={"User-Agent": AGENT}).json()


def poll(started: Any, client_id: str = CLIENT) -> Any:
    form = {"grant_type": GRANT, "client_id": client_id, "device_code": started["device_code"]}
    return Client().post(f"{API}/login", form)


def decide(browser: Client, code: str, do: str) -> Any:
    return browser.post(reverse("device-login"), {"code": code, "do": do})


def test_a_program_is_given_a_code_to_show_and_one_to_ask_with(db: None) -> None:
    started = start()
    assert set(started) == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert (
        started["verification_uri_complete"] == f"{started['verification_uri']}?code={started['user_code']}"
    )
    assert started["device_code"] not in str(DeviceLogin.objects.values_list().get())


def test_it_waits_until_the_code_is_confirmed_and_gets_a_key_once(browser: Client) -> None:
    started = start()
    waiting = poll(started)
    assert (waiting.status_code, waiting.json()["error"]) == (400, "authorization_pending")
    assert set(waiting.json()) == {"error", "error_description"}  # ZenML's clients die of any other key
    page = browser.get(started["verification_uri_complete"])
    assert all(word in page.text for word in (started["user_code"], "laptop", "ZenML/0.84.3", "127.0.0.1"))
    assert "is connected" in decide(browser, started["user_code"], "confirm").text
    answer = poll(started)
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "bearer"
    assert bearer(answer.json()["access_token"]).get(f"{API}/current-user").json()["name"] == "alice"
    assert ApiKey.objects.get().name == "Sign-in from laptop"
    again = poll(started)
    assert (again.status_code, again.json()["error"]) == (400, "expired_token")
    assert ApiKey.objects.count() == 1


def test_signed_in_twice_from_one_machine_are_two_keys(browser: Client) -> None:
    for _ in range(3):
        started = start()
        decide(browser, started["user_code"], "confirm")
        assert poll(started).status_code == 200
    assert sorted(ApiKey.objects.values_list("name", flat=True)) == [
        "Sign-in from laptop",
        "Sign-in from laptop (2)",
        "Sign-in from laptop (3)",
    ]


def test_refused_it_gets_nothing(browser: Client) -> None:
    started = start()
    assert "was refused" in decide(browser, started["user_code"], "refuse").text
    answer = poll(started)
    assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")
    assert not ApiKey.objects.exists()


def test_a_code_expires(browser: Client) -> None:
    started = start()
    DeviceLogin.objects.update(expires_at=timezone.now())
    assert decide(browser, started["user_code"], "confirm").status_code == 422
    assert poll(started).json()["error"] == "expired_token"


def test_a_code_that_was_confirmed_and_then_expires_gives_nothing(browser: Client) -> None:
    started = start()
    decide(browser, started["user_code"], "confirm")
    DeviceLogin.objects.update(expires_at=timezone.now())
    assert poll(started).json()["error"] == "expired_token"
    assert not ApiKey.objects.exists()


def test_a_code_is_decided_once(browser: Client, bob: User) -> None:
    started = start()
    decide(browser, started["user_code"], "refuse")
    assert decide(browser, started["user_code"], "confirm").status_code == 422
    assert poll(started).json()["error"] == "access_denied"


def test_of_two_who_decide_at_once_the_first_counts(alice: User, bob: User) -> None:
    login = device_login.find_device_login(actor=alice, user_code=start()["user_code"])
    device_login.decide_device_login(actor=alice, login=login, is_confirmed=True)
    with pytest.raises(DoesNotExist):
        device_login.decide_device_login(actor=bob, login=login, is_confirmed=True)
    assert DeviceLogin.objects.get().user == alice


def test_another_program_gets_nothing_for_the_code(browser: Client) -> None:
    started = start()
    decide(browser, started["user_code"], "confirm")
    assert poll(started, client_id=str(uuid.uuid4())).json()["error"] == "expired_token"
    assert poll({"device_code": "x"}).json()["error"] == "expired_token"
    assert poll(started).status_code == 200


def test_an_account_that_is_switched_off_meanwhile_gives_nothing(browser: Client, alice: User) -> None:
    started = start()
    decide(browser, started["user_code"], "confirm")
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert poll(started).json()["error"] == "access_denied"


@pytest.mark.parametrize("client_id", ["", "x" * 101, "a\0b"])
def test_a_program_without_an_id_is_refused(db: None, client_id: str) -> None:
    assert start(client_id=client_id)["detail"][0] == "ValueError"
    assert not DeviceLogin.objects.exists()


def test_the_code_is_typed_as_one_likes(browser: Client) -> None:
    code = start()["user_code"]
    for typed in (code, code.lower(), code.replace("-", ""), f" {code} ", code.replace("-", " ")):
        assert "Connect this program?" in browser.get(reverse("device-login"), {"code": typed}).text


def test_looking_decides_nothing(browser: Client) -> None:
    started = start()
    browser.get(reverse("device-login"), {"code": started["user_code"], "do": "confirm"})
    assert poll(started).json()["error"] == "authorization_pending"


def test_the_page_is_for_those_who_are_signed_in_and_for_its_own_form(alice: User) -> None:
    started = start()
    strict = Client(enforce_csrf_checks=True)
    page = reverse("device-login")
    wanted = strict.get(page, {"code": started["user_code"]})
    assert (wanted.status_code, "code%3D" in wanted.url) == (302, True)
    strict.force_login(alice)
    assert strict.post(page, {"code": started["user_code"], "do": "confirm"}).status_code == 403
    assert poll(started).json()["error"] == "authorization_pending"


def test_guessing_is_limited(browser: Client) -> None:
    code = start()["user_code"]
    for _ in range(device_login.CODE_BRAKE.free):
        assert "No program waits" in browser.get(reverse("device-login"), {"code": "BBBB-BBBB"}).text
    answer = browser.get(reverse("device-login"), {"code": code})
    assert (answer.status_code, "Too many wrong tries" in answer.text) == (422, True)


def test_right_codes_are_no_guesses(browser: Client) -> None:
    code = start()["user_code"]
    for _ in range(device_login.CODE_BRAKE.free + 2):
        assert browser.get(reverse("device-login"), {"code": code}).status_code == 200


def from_address(address: str) -> Any:
    return Client(REMOTE_ADDR=address).post(f"{API}/device_authorization", {"client_id": CLIENT}).json()


def waits(started: Any) -> bool:
    return bool(poll(started).json()["error"] == "authorization_pending")


def test_of_too_many_from_one_network_the_oldest_are_forgotten(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_login, "MOST_WAITING_PER_NETWORK", 3)
    started = [from_address(f"2001:db8::{place}") for place in range(5)]
    assert DeviceLogin.objects.count() == 3
    assert [waits(each) for each in started] == [False] * 2 + [True] * 3


def test_whoever_starts_many_keeps_nobody_else_out(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_login, "MOST_WAITING", 4)
    first = from_address("192.0.2.1")
    many = [from_address(f"2001:db8::{place}") for place in range(6)]
    last = from_address("203.0.113.1")
    assert [waits(each) for each in (first, *many, last)] == [True, *[False] * 4, True, True, True]


def test_expired_ones_are_removed(db: None) -> None:
    start()
    DeviceLogin.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    start()
    assert DeviceLogin.objects.count() == 1
