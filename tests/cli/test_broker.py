"""Finding and starting the embedded broker."""

import os
import time

import pytest

from zenweb.cli.broker import NoBroker, accepts, find_redis, redis_command
from zenweb.cli.data_folder import open_data_folder
from zenweb.cli.processes import Supervisor


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_the_machines_own_server_is_taken_first(name, tmp_path, monkeypatch):
    program = tmp_path / name
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis() == str(program)


def test_without_any_server_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NoBroker, match=r"install your system's redis or valkey package"):
        find_redis()


def test_the_broker_listens_on_a_private_socket_and_on_no_port(tmp_path):
    folder = open_data_folder(tmp_path)
    with Supervisor(folder.logs) as supervisor:
        supervisor.start("broker", redis_command(find_redis(), folder), env=os.environ, cwd=tmp_path)
        supervisor.wait_for(lambda: accepts(folder.socket), what="The start", timeout=time.monotonic() + 10)
        assert folder.socket.stat().st_mode & 0o077 == 0
        log = folder.logs / "broker.log"
        supervisor.wait_for(
            lambda: "port=0" in log.read_text(), what="Its log", timeout=time.monotonic() + 10
        )
    assert not accepts(folder.socket)
