"""`zenweb completion`, and what a shell is told that asks."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import click
import pytest
from click.shell_completion import _resolve_context
from click.testing import CliRunner

from zenweb.cli.completion import SHELLS
from zenweb.cli.main import main
from zenweb.cli.names import listed, presets_of_template, steps_of_run, within
from zenweb.client import Client


def completed(line: str) -> list[str]:
    """What bash is told of a line up to the cursor."""
    asked = {"_ZENWEB_COMPLETE": "bash_complete", "COMP_LINE": line}
    result = CliRunner().invoke(main, prog_name="zenweb", env=asked)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return [answer.partition("\t")[2] for answer in result.stdout.splitlines() if answer]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(shell):
    script = CliRunner().invoke(main, ["completion", shell])
    assert (script.exit_code, f"_ZENWEB_COMPLETE={shell}_complete" in script.stdout) == (0, True)


def has(shell):
    return pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed")


@pytest.fixture
def script(tmp_path, monkeypatch, config_folder):
    """The script of a shell as a file; the current folder has one file, orders.csv."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "orders.csv").touch()
    monkeypatch.chdir(tmp_path / "here")

    def script(shell):
        file = tmp_path / shell
        file.write_text(CliRunner().invoke(main, ["completion", shell]).stdout)
        return file

    return script


@pytest.mark.parametrize("shell", [pytest.param(shell, marks=has(shell)) for shell in SHELLS])
def test_each_shell_understands_its_script(shell, script):
    subprocess.run([shell, "-n", script(shell)], check=True)


@has("fish")
@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("zenweb run-t", ["run-template\tList run templates, run and change them."]),
        ("zenweb run list --output=j", ["--output=json"]),
        ("zenweb run repair x --config=or", ["--config=orders.csv"]),
    ],
)
def test_fish_keeps_what_stands_before_a_value(line, answers, script):
    asked = ["fish", "--no-config", "-c", f"source {script('fish')}; complete -C '{line}'"]
    assert subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines() == answers


def test_another_shell_is_told_which_there_are():
    assert "'bash', 'zsh', 'fish'" in CliRunner().invoke(main, ["completion", "csh"]).stderr


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("zenweb run-", ["run-template"]),
        ("zenweb run l", ["list", "logs"]),
        ("zenweb run list --status f", ["failed"]),
        ("zenweb run-template run --dry", ["--dry-run"]),
        ("zenweb run list --output ", ["table", "json", "id"]),
        ("zenweb 'run-", ["run-template"]),
    ],
)
def test_commands_and_options_are_completed(line, answers):
    assert completed(line) == answers


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("zenweb st", ["stack"]),
        ("zenweb s", ["schedule", "stack"]),
        ("zenweb up --", ["--help", "--version"]),
    ],
)
def test_where_only_the_sdk_is_installed_its_commands_are_completed(monkeypatch, line, answers):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert set(completed(line)) == set(answers)


@pytest.mark.parametrize("line", ["zenweb run logs x", "zenweb run-template run x --", "zenweb stack set "])
def test_without_a_server_it_is_quiet(config_folder, line):
    assert all(answer.startswith("-") for answer in completed(line))


def test_a_shell_does_not_wait_for_a_slow_server():
    never = threading.Event()
    began = time.monotonic()
    assert within(0.05, lambda: never.wait(60), "nothing") == "nothing"
    assert time.monotonic() - began < 10
    never.set()


def test_whatever_goes_wrong_is_nothing_found(capsys):
    assert within(10, lambda: 1 // 0, "nothing") == "nothing"
    assert capsys.readouterr() == ("", "")


def test_names_come_from_the_server(alices, template):
    alices("run-template", "run", "daily-retraining")
    ctx = click.Context(main)
    assert list(listed("/run_templates")(Client(), ctx, "dai")) == ["daily-retraining"]
    assert list(listed("/run_templates")(Client(), ctx, "x")) == []
    [name] = listed("/runs")(Client(), ctx, "")
    ctx.params["names"] = (name,)
    assert list(steps_of_run(Client(), ctx, "")) == ["trainer", "evaluator"]
    ctx.params["name"] = "daily-retraining"
    assert list(presets_of_template(Client(), ctx, "")) == ["last-good"]


def test_steps_and_presets_are_those_of_the_name_before(alices, template):
    alices("run-template", "run", "daily-retraining")
    [run] = listed("/runs")(Client(), click.Context(main), "")

    def typed(*words: str) -> click.Context:
        return _resolve_context(main, {}, "zenweb", list(words))

    for command, option in (("logs", "--step"), ("repair", "--from")):
        assert list(steps_of_run(Client(), typed("run", command, run, option), "")) == [
            "trainer",
            "evaluator",
        ]
    ctx = typed("run-template", "run", "daily-retraining", "--preset")
    assert list(presets_of_template(Client(), ctx, "")) == ["last-good"]
