"""What `zenweb manage` does on a data folder, with real processes."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.postgresql import environment_of
from zenweb.cli.data_folder import open_data_folder

Manage = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    return tmp_path / "machine"


@pytest.fixture
def manage(data_folder: Path) -> Manage:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZENWEB_")}

    def run(*arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "zenweb.cli", "manage", "--data-dir", str(data_folder), *arguments],
            env=environment | environment_of(data_folder),
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            start_new_session=True,  # without a terminal, what is typed here is what is read
        )

    return run


def test_an_empty_folder_gets_its_database_its_first_user_and_another_password(manage, data_folder):
    assert manage("migrate", "--verbosity=0").returncode == 0
    assert manage("bootstrap", "--keep").returncode == 0
    # Nobody but the command itself has run: an end of whoever started it loses nothing.
    kept = open_data_folder(data_folder).read_credentials()
    assert kept.username == "admin"
    assert stat.S_IMODE((data_folder / "credentials").stat().st_mode) == 0o600
    new = "a new and long password"
    assert "changed successfully" in manage("changepassword", "admin", typed=f"{new}\n{new}\n").stdout
