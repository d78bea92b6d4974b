"""Which server is used: what the environment says, else what was stored by signing in."""

import stat

import pytest

from zenweb import connection
from zenweb.connection import Connection
from zenweb.exceptions import NotConnected


@pytest.fixture(autouse=True)
def config_folder(tmp_path, monkeypatch):
    for name in ("ZENWEB_SERVER_URL", "ZENWEB_API_KEY", "ZENWEB_ACTIVE_STACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZENWEB_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config"


def test_what_was_saved_is_loaded_and_nobody_else_can_read_it(config_folder):
    connection.save(server_url="http://localhost:8000/", api_key="secret")
    connection.save(active_stack="celery")
    assert connection.load() == Connection("http://localhost:8000", "secret", "celery")
    assert stat.S_IMODE((config_folder / "connection.json").stat().st_mode) == 0o600
    assert [path.name for path in config_folder.iterdir()] == ["connection.json"]


def test_the_environment_goes_first(monkeypatch):
    connection.save(server_url="http://localhost:8000", api_key="stored", active_stack="default")
    monkeypatch.setenv("ZENWEB_API_KEY", "given")
    monkeypatch.setenv("ZENWEB_ACTIVE_STACK", "celery")
    assert connection.load() == Connection("http://localhost:8000", "given", "celery")


def test_a_stored_key_is_not_shown_to_another_server(monkeypatch):
    connection.save(server_url="http://localhost:8000", api_key="stored", active_stack="celery")
    monkeypatch.setenv("ZENWEB_SERVER_URL", "https://elsewhere.example.com")
    with pytest.raises(
        NotConnected, match=r"no API key for https://elsewhere.example.com. .*zenweb login https://else"
    ):
        connection.load()


@pytest.mark.parametrize(
    "environment",
    [
        {"ZENWEB_ACTIVE_STACK": "default"},
        {"ZENWEB_SERVER_URL": "http://localhost:9000", "ZENWEB_API_KEY": "given"},
    ],
)
def test_a_stack_cannot_be_chosen_against_the_environment(environment, monkeypatch):
    connection.save(server_url="http://localhost:8000", api_key="stored")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NotConnected, match="ZENWEB_ACTIVE_STACK=celery"):
        connection.save_active_stack("celery")


def test_signing_in_elsewhere_forgets_the_former_server(monkeypatch):
    connection.save(server_url="http://localhost:8000", api_key="stored", active_stack="celery")
    connection.save(server_url="https://elsewhere.example.com", api_key="new")
    assert connection.load() == Connection("https://elsewhere.example.com", "new", None)


def test_without_a_server_it_says_what_to_start_and_what_to_type():
    with pytest.raises(
        NotConnected, match=r"Start one with `zenweb up`, or connect to one with `zenweb login URL`"
    ):
        connection.load()


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("zenweb.example.com", "https://zenweb.example.com"),
        ("http://zenweb.example.com/team/", "http://zenweb.example.com/team"),
    ],
)
def test_an_address_is_completed(typed, url):
    assert connection.normalised(typed) == url


@pytest.mark.parametrize(
    "typed", ["ftp://example.com", "https://", "https://[::1", "host:port", "http://a b", "http://a\x00"]
)
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(NotConnected, match="is not a server's address"):
        connection.normalised(typed)


def test_a_broken_file_is_named(config_folder):
    config_folder.mkdir()
    (config_folder / "connection.json").write_text("{")
    with pytest.raises(NotConnected, match=r"connection.json cannot be read .* `zenweb login`"):
        connection.load()


def test_a_file_that_cannot_be_read_matters_only_where_something_is_missing(config_folder, monkeypatch):
    config_folder.mkdir()
    (config_folder / "connection.json").write_text("{")
    monkeypatch.setenv("ZENWEB_SERVER_URL", "http://localhost:9000")
    with pytest.raises(NotConnected, match="cannot be read"):
        connection.load()
    monkeypatch.setenv("ZENWEB_API_KEY", "given")
    assert connection.load() == Connection("http://localhost:9000", "given", None)
