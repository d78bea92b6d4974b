"""Where the local server may listen."""

import socket

import pytest

from zenweb.cli.data_folder import open_data_folder
from zenweb.cli.environment import reachable
from zenweb.cli.local_server import PortUnusable, choose_port
from zenweb.cli.up import _tell_how_to_sign_in


def test_a_busy_port_is_refused_with_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortUnusable, match=rf"Port {port} of 127.0.0.1 is in use: .*PORT=9000 make demo"):
            choose_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(PortUnusable, match="cannot be used"):
        choose_port("192.0.2.1", 8000)


def test_port_0_asks_for_any_free_port():
    port = choose_port("127.0.0.1", 0)
    assert choose_port("127.0.0.1", port) == port


def test_a_server_on_all_addresses_is_reached_on_this_machines_own():
    assert reachable("::") == "[::1]"
    assert reachable("10.0.0.5") == "10.0.0.5"


def test_without_credentials_it_says_how_to_set_a_password(tmp_path, capsys):
    folder = open_data_folder(tmp_path / "my data")
    _tell_how_to_sign_in("http://127.0.0.1:8000", folder, folder.read_credentials(), is_new=False)
    assert f"zenweb manage --data-dir '{folder.path}' changepassword admin\n" in capsys.readouterr().out
