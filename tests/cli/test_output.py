"""`--output`, and what exit codes tell."""

import json
import re
from pathlib import Path

import pytest

from runs_app.models import PipelineRun, StepRun
from zenweb.cli.display import fitting
from zenweb.cli.exit_codes import ExitCode
from zenweb.enums import ExecutionStatus

RUN = ("run-template", "run", "daily-retraining")


def end(status: str):
    """Runs end as soon as somebody waits for them."""

    def sleep(_: float) -> None:
        StepRun.objects.update(status=status)
        PipelineRun.objects.update(status=status, status_reason="so it is")

    return sleep


@pytest.mark.parametrize("command", [("run", "list"), ("run-template", "list")])
def test_a_list_is_told_as_the_wire_tells_it(alices, template, rest, command):
    alices(*RUN)
    told = json.loads(alices(*command, "-o", "json").stdout)
    path = {"run": "runs", "run-template": "run_templates"}[command[0]]
    answer = rest.get(f"/api/v1/{path}", {"size": told["max_size"]}).json()
    assert told == answer


def test_ids_are_one_per_line(alices, template):
    alices(*RUN)
    alices(*RUN)
    assert set(alices("run", "list", "-o", "id").stdout.split()) == {
        str(run.pk) for run in PipelineRun.objects.all()
    }


def test_a_thing_is_told_as_the_wire_tells_it(alices, template, rest):
    alices(*RUN)
    run = PipelineRun.objects.get()
    told = json.loads(alices("run", "describe", run.name, "-o", "json").stdout)
    assert told == rest.get(f"/api/v1/runs/{run.pk}").json()
    assert json.loads(alices("run-template", "describe", template.name, "-o", "json").stdout)["id"] == str(
        template.pk
    )


def test_several_things_are_a_list(alices, template):
    alices(*RUN)
    alices(*RUN)
    names = [run.name for run in PipelineRun.objects.order_by("created")]
    told = json.loads(alices("run", "describe", *names, "-o", "json").stdout)
    assert [run["name"] for run in told] == names


def test_a_started_run_is_its_id_alone(alices, template):
    assert alices(*RUN, "-o", "id").stdout == f"{PipelineRun.objects.get().pk}\n"


def test_what_is_told_meanwhile_goes_to_stderr(alices, template, monkeypatch):
    monkeypatch.setattr("time.sleep", end("failed"))
    result = alices(*RUN, "--wait", "-o", "json")
    assert json.loads(result.stdout)["body"]["status"] == "failed"
    assert "failed: so it is" in result.stderr


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed", 1), ("stopped", 3)])
def test_the_exit_code_tells_how_a_run_ended(alices, template, monkeypatch, status, code):
    monkeypatch.setattr("time.sleep", end(status))
    assert alices(*RUN, "--wait").exit_code == code


def test_waiting_ends_in_time_and_the_run_goes_on(alices, template):
    result = alices(*RUN, "--wait", "--timeout", "0")
    assert result.exit_code == 124
    run = PipelineRun.objects.get()
    assert (run.status, f"zenweb run watch {run.name}" in result.stdout) == ("initializing", True)


def test_every_end_of_a_run_has_a_code():
    codes = {status: ExitCode.of_run(status) for status in ExecutionStatus if status.is_finished}
    assert codes[ExecutionStatus.CACHED] == ExitCode.DONE
    assert codes[ExecutionStatus.STOPPED] == ExitCode.STOPPED


def test_the_exit_codes_are_those_of_the_documentation(pytestconfig):
    page = Path(pytestconfig.rootpath, "docs/command-line.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([0-9]+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(str(int(code)), code.words) for code in ExitCode]


@pytest.mark.parametrize(
    ("environment", "is_coloured"),
    [
        ({"NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colours_are_as_the_environment_says(alices, environment, is_coloured):
    told = alices("run", "describe", "nothing", env={"NO_COLOR": "", **environment}, color=True)
    assert told.stderr.startswith("\x1b[31m") == is_coloured
    assert "There is no run 'nothing'." in told.stderr


def test_a_narrow_terminal_leaves_out_the_last_columns():
    rows = [("a" * 20, "running", "2026-05-31 10:00:00", "pipeline", "i" * 36)]
    columns = ("NAME", "STATUS", "CREATED", "PIPELINE", "ID")
    assert [fitting(columns, rows, width) for width in (200, 80, 60, 20)] == [5, 4, 4, 3]


def test_a_template_is_deleted_when_that_is_said(alices, template):
    assert alices("run-template", "delete", template.name, input="n\n").exit_code == 1
    assert template.name in alices("run-template", "list").stdout
    alices("run-template", "delete", template.name, "--yes")
    assert template.name not in alices("run-template", "list").stdout
