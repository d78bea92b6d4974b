"""What the README tells newcomers to type, typed in an empty folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Site
from tests.markdown import blocks_of
from zenweb import connection

ROOT = Path(__file__).parents[2]
PAGE = blocks_of((ROOT / "README.md").read_text())
REGISTERING = "Register your own pipeline"
# Nothing else of a block is changed. Installing and signing in have tests of their own: `tests/runs/test_sdk_wheel.py`
# and `tests/cli/test_login.py`.
FILLED_IN = {
    "pip install PATH/TO/THIS/CHECKOUT": "true",
    "zenweb login http://127.0.0.1:8000": "true",
    "http://127.0.0.1:8000": "{server}",
    "ZENKEY_...": "{api_key}",
}


@pytest.fixture
def newcomer(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder of somebody who is signed in."""
    monkeypatch.setenv("ZENWEB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    connection.save(server_url=site.url, api_key=site.api_key)
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def type_in(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_readme_leads_from_nothing_to_a_run(newcomer: Path, site: Site) -> None:
    prepare, file, commands, rest, python = (
        filled_in(block.code, site) for block in PAGE if block.section == REGISTERING
    )
    type_in("bash", "-euc", prepare)
    (newcomer / "run.py").write_text(file)
    assert len(file.splitlines()) <= 30
    assert len(commands.splitlines()) == 2
    assert "completed" in type_in("bash", "-euc", commands)
    assert json.loads(type_in("bash", "-euc", rest))["body"]["status"] == "initializing"
    (newcomer / "own.py").write_text(python)
    assert type_in("python", "own.py") == "completed\n"


def test_the_first_example_is_typed_as_the_readme_says(newcomer: Path) -> None:
    (newcomer / "run.py").write_text(PAGE[0].code)
    (newcomer / "own.py").write_text(
        """
from run import trainer
from zenweb import pipeline

@pipeline
def training():
    trainer()

print(training.compile().steps[0].model_dump_json())
"""
    )
    schema = json.loads(type_in("python", "own.py"))["parameters_schema"]["properties"]
    assert (schema["learning_rate"]["exclusiveMinimum"], schema["learning_rate"]["maximum"]) == (0, 1)
    assert schema["model_type"]["enum"] == ["svm", "rf"]


def filled_in(code: str, site: Site) -> str:
    for left_open, value in FILLED_IN.items():
        code = code.replace(left_open, value.format(server=site.url, api_key=site.api_key))
    return code
