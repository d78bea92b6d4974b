"""How the command line starts, and how it says that something went wrong."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from zenweb.cli import main as cli
from zenweb.exceptions import DoesNotExist, FieldError, ServerUnreachable, ValidationFailed


def run_failing(monkeypatch, error: Exception):
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(cli.LazyCommands, "get_command", lambda *_: failing)
    return CliRunner().invoke(cli.main, ["anything"])


def test_an_error_is_one_sentence_without_traceback(monkeypatch):
    result = run_failing(monkeypatch, DoesNotExist("There is no run template 'x'."))
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "There is no run template 'x'.\n")


def test_errors_of_fields_have_a_line_each(monkeypatch):
    fields = [
        FieldError("/steps/trainer/parameters/epochs", "is not a whole number"),
        FieldError("/stepz", "is unknown"),
    ]
    result = run_failing(monkeypatch, ValidationFailed(fields))
    assert result.stderr.splitlines()[1:] == [
        "  /steps/trainer/parameters/epochs: is not a whole number",
        "  /stepz: is unknown",
    ]


def test_an_error_without_words_of_its_own_uses_its_sentence(monkeypatch):
    assert (
        run_failing(monkeypatch, ServerUnreachable()).stderr
        == "No ZenWeb server answered at the configured address.\n"
    )


def test_an_unreachable_server_has_its_own_exit_code(monkeypatch):
    assert run_failing(monkeypatch, ServerUnreachable("No server at http://x.")).exit_code == 4


def test_an_unknown_command_is_a_usage_error():
    assert CliRunner().invoke(cli.main, ["launch"]).exit_code == 2


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name):
    result = CliRunner().invoke(cli.main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"Usage: main {name}")


@pytest.mark.parametrize("name", sorted(cli.NEED_THE_SERVER))
def test_where_only_the_sdk_is_installed_the_server_is_asked_for(name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(cli.main, [name])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "pip install 'zenweb[server]'" in result.stderr


def test_help_loads_no_command():
    code = "import atexit, sys; from zenweb.cli.main import main; atexit.register(lambda: print(*sys.modules)); main()"
    command = [sys.executable, "-c", code, "--help"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "zenweb.cli.main" in loaded
    assert not {"httpx", "pydantic", "rich.console", "zenweb.cli.up", "zenweb.client"} & set(loaded.split())


@pytest.mark.parametrize(
    "command", [["run", "list"], ["run", "logs"], ["artifact", "get"], ["stack", "list"]]
)
def test_a_command_that_only_reads_starts_without_what_it_does_not_need(command):
    code = "import atexit, sys; from zenweb.cli.main import main; atexit.register(lambda: print(*sys.modules)); main()"
    process = [sys.executable, "-c", code, *command, "--help"]
    loaded = subprocess.run(process, capture_output=True, text=True, check=True).stdout
    assert "zenweb.client" in loaded
    heavy = {"pydantic", "ruamel.yaml", "rich", "pygments", "pathspec", "pandas", "cloudpickle", "django"}
    assert not heavy & set(loaded.split())
