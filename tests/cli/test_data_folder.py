"""The folder that `zenweb up` keeps everything in."""

import stat
from pathlib import Path

import pytest

from zenweb.cli.data_folder import Credentials, DataFolderUnusable, open_data_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_its_owners_alone(tmp_path):
    assert mode(open_data_folder(tmp_path / "new" / "data").path) == 0o700


def test_a_folder_that_cannot_be_made_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderUnusable, match=r"file/data cannot be written .*--data-dir"):
        open_data_folder(tmp_path / "file" / "data")


def test_the_secret_key_is_made_once_and_private(tmp_path):
    folder = open_data_folder(tmp_path)
    key = folder.secret_key()
    assert len(key) >= 50
    assert open_data_folder(tmp_path).secret_key() == key
    assert mode(folder.secret_key_file) == 0o600


def test_encryption_keys_are_made_once_and_may_be_added_to(tmp_path):
    folder = open_data_folder(tmp_path)
    assert folder.encryption_keys(makes_one=False) == []
    [first] = folder.encryption_keys(makes_one=True)
    assert mode(folder.encryption_keys_file) == 0o600
    folder.encryption_keys_file.write_text(f"newer\n{first}\n")
    assert open_data_folder(tmp_path).encryption_keys(makes_one=True) == ["newer", first]
    assert not list(tmp_path.glob(".*"))


def test_credentials_are_kept_privately(tmp_path):
    folder = open_data_folder(tmp_path)
    assert folder.read_credentials() is None
    folder.write_credentials(Credentials("admin", "password", "ZENKEY_x"))
    assert folder.read_credentials() == Credentials("admin", "password", "ZENKEY_x")
    assert mode(folder.credentials_file) == 0o600


def test_one_folder_serves_one_supervisor_at_a_time(tmp_path):
    folder = open_data_folder(tmp_path)
    with folder.locked(), pytest.raises(DataFolderUnusable, match="already running"), folder.locked():
        pass
    with folder.locked():
        pass


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(tmp_path):
    folder = open_data_folder(tmp_path / ("d" * 100))
    folder.make_socket_folder()
    assert len(str(folder.socket)) < 100
    assert mode(folder.socket.parent) == 0o700
    assert folder.socket == open_data_folder(folder.path).socket
    folder.socket.parent.rmdir()
