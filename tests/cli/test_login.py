"""`zenweb login`."""

import stat

from zenweb import connection


def test_a_good_key_is_stored_privately(zenweb, alices_key):
    result = zenweb("login", "localhost:8000/", "--api-key", alices_key)
    assert result.output == "Connected to http://localhost:8000 as alice.\n"
    assert connection.load().api_key == alices_key
    assert stat.S_IMODE((connection.config_folder() / "connection.json").stat().st_mode) == 0o600


def test_the_key_is_asked_for_and_not_shown(zenweb, alices_key):
    result = zenweb("login", "http://localhost:8000", input=f"{alices_key}\n")
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
