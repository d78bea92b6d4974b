"""What the server's processes are told."""

from zenweb.cli.data_folder import open_data_folder
from zenweb.cli.environment import server_environment


def test_what_nobody_has_set_comes_from_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("ZENWEB_BROKER_URL", raising=False)
    monkeypatch.setenv("ZENWEB_SECRET_KEY", "")
    monkeypatch.delenv("ZENWEB_ENCRYPTION_KEYS", raising=False)
    folder = open_data_folder(tmp_path)
    environment = server_environment(folder, ZENWEB_PUBLIC_URL="http://127.0.0.1:9000")
    assert environment["ZENWEB_BROKER_URL"] == f"redis+socket://{folder.socket}"
    assert environment["ZENWEB_SECRET_KEY"] == folder.secret_key()
    assert [environment["ZENWEB_ENCRYPTION_KEYS"]] == folder.encryption_keys(makes_one=False)
    assert environment["ZENWEB_PUBLIC_URL"] == "http://127.0.0.1:9000"


def test_what_the_caller_has_set_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("ZENWEB_BROKER_URL", "amqp://broker")
    monkeypatch.setenv("ZENWEB_SECRET_KEY", "mine")
    monkeypatch.setenv("ZENWEB_PUBLIC_URL", "https://zenweb.example.com")
    folder = open_data_folder(tmp_path)
    environment = server_environment(folder, ZENWEB_PUBLIC_URL="http://127.0.0.1:9000")
    assert environment["ZENWEB_BROKER_URL"] == "amqp://broker"
    assert environment["ZENWEB_SECRET_KEY"] == "mine"
    assert environment["ZENWEB_PUBLIC_URL"] == "https://zenweb.example.com"
    assert not folder.secret_key_file.exists()
    assert not folder.encryption_keys_file.exists()
