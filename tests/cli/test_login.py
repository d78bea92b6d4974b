"""`zenweb login`."""

import stat

import pytest

from zenweb import connection
from zenweb.accounts.device_login import decide_device_login, find_device_login
from zenweb.accounts.models import ApiKey, DeviceLogin


@pytest.fixture
def browser(monkeypatch, alice):
    """Alice's, in which she confirms what is opened, or refuses it."""
    opened = []

    def decide(address, *, is_confirmed=True):
        opened.append(address)
        login = find_device_login(actor=alice, user_code=address.partition("code=")[2])
        decide_device_login(actor=alice, login=login, is_confirmed=is_confirmed)

    monkeypatch.setattr("webbrowser.open", decide)
    decide.opened = opened
    return decide


def test_the_browser_is_opened_and_its_answer_waited_for(zenweb, browser):
    result = zenweb("login", "localhost:8000")
    assert result.exit_code == 0, result.output
    assert result.output.endswith("Connected to http://localhost:8000 as alice.\n")
    assert browser.opened[0] in result.output
    key = ApiKey.objects.get(user__username="alice")
    assert key.name.startswith("Sign-in from ")
    assert key.expires_at is not None


def test_it_goes_on_asking_until_the_code_is_confirmed(zenweb, browser, monkeypatch):
    """Without a browser on this machine it is confirmed elsewhere, some questions later."""
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            browser(f"?code={DeviceLogin.objects.get().user_code}")

    monkeypatch.setattr("time.sleep", sleep)
    result = zenweb("login", "localhost:8000", "--no-browser")
    assert result.exit_code == 0, result.output
    assert (len(slept), len(browser.opened)) == (2, 1)


def test_a_sign_in_that_is_refused_connects_nothing(zenweb, browser, monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda address: browser(address, is_confirmed=False))
    result = zenweb("login", "localhost:8000")
    assert (result.exit_code, result.stderr) == (1, "The sign-in was refused in the browser.\n")
    assert not (connection.config_folder() / "connection.json").exists()


def test_a_good_key_is_stored_privately(zenweb, alices_key):
    result = zenweb("login", "localhost:8000/", "--api-key", alices_key)
    assert result.output == "Connected to http://localhost:8000 as alice.\n"
    assert connection.load().api_key == alices_key
    assert stat.S_IMODE((connection.config_folder() / "connection.json").stat().st_mode) == 0o600


def test_the_key_is_asked_for_and_not_shown(zenweb, alices_key):
    result = zenweb("login", "http://localhost:8000", "--api-key", input=f"{alices_key}\n")
    assert result.exit_code == 0
    assert alices_key not in result.output


def test_a_key_in_the_environment_is_not_asked_for(zenweb, alices_key, monkeypatch):
    monkeypatch.setenv("ZENWEB_API_KEY", alices_key)
    result = zenweb("login", "http://localhost:8000")
    assert result.output == "Connected to http://localhost:8000 as alice.\n"


def test_a_wrong_key_is_refused_and_nothing_is_stored(zenweb):
    result = zenweb("login", "http://localhost:8000", "--api-key", "ZENKEY_wrong")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert not (connection.config_folder() / "connection.json").exists()


def test_an_address_that_is_none_is_refused(zenweb):
    result = zenweb("login", "ftp://somewhere", "--api-key", "x")
    assert (result.exit_code, result.stderr.count("is not a server's address")) == (1, 1)
