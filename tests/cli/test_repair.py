"""`zenweb run repair` and `zenweb run stop`."""

import pytest

from runs_app import recording
from runs_app.models import PipelineRun, Worker
from tests.factories import freeze, launch, make_template
from tests.runs.test_caching import execute
from tests.runs.test_repair import FAILURE
from zenweb.cli.values import read_values
from zenweb.exceptions import ValidationFailed


@pytest.fixture
def failed(template, alice):
    """A run of the training pipeline whose first step failed."""
    run = launch(template, alice, {"steps": {"trainer": {"parameters": {"learning_rate": 0.5}}}})
    worker = Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)
    recording.record_end(recording.claim_ready_step(worker, "default"), FAILURE)
    run.refresh_from_db()
    return run


def table(output):
    return [line.split()[:2] for line in output.splitlines()[1:3]]


def test_a_dry_run_shows_the_plan_and_starts_nothing(alices, failed):
    result = alices("run", "repair", failed.name, "--dry-run")
    assert (result.exit_code, table(result.stdout)) == (0, [["trainer", "again"], ["evaluator", "again"]])
    assert "It failed." in result.stdout
    assert PipelineRun.objects.count() == 1


def test_it_shows_the_plan_asks_and_starts(alices, failed):
    result = alices("run", "repair", failed.name, input="y\n")
    new = failed.repairs.get()
    assert "Run 2 steps again and keep 0?" in result.stdout
    assert f"/runs/{new.id}/" in result.stdout
    assert new.channel == "cli"


def test_a_no_starts_nothing(alices, failed):
    assert alices("run", "repair", failed.name, input="n\n").exit_code == 1
    assert PipelineRun.objects.count() == 1


def test_values_come_from_a_file_and_single_ones_go_over_it(alices, failed, tmp_path):
    (tmp_path / "run.yaml").write_text(
        "steps: {trainer: {parameters: {learning_rate: 0.7, model_type: rf}}, evaluator: {parameters: {}}}"
    )
    result = alices(
        *("run", "repair", failed.name, "--from", "trainer", "--yes"),
        *("--config", str(tmp_path / "run.yaml")),
        *("--set", "trainer.learning-rate=0.25"),
    )
    assert result.exit_code == 0, result.stderr
    assert failed.repairs.get().parameters == {
        "trainer": {"learning_rate": 0.25, "model_type": "rf"},
        "evaluator": {"threshold": 0.5},
    }


def test_what_is_wrong_has_a_line_each_and_nothing_is_asked(alices, failed):
    result = alices("run", "repair", failed.name, "--set", "steps.trainer.parameters.learning_rate=2")
    assert (result.exit_code, PipelineRun.objects.count()) == (2, 1)
    assert "  /steps/trainer/parameters/learning_rate: This must be at most 1." in result.stderr
    assert "again and keep" not in result.stdout


def test_a_step_to_start_from_that_does_not_exist_is_named(alices, failed):
    result = alices("run", "repair", failed.name, "--from", "trianer")
    assert "There is no step 'trianer'. Did you mean 'trainer'?" in result.stderr


def test_with_nothing_to_do_it_says_what_could_be_done(alices, alice, stacks):
    run = launch(make_template(freeze("cached.chain", alice, stacks["celery"]), alice, "chain"), alice)
    execute(Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1))
    result = alices("run", "repair", run.name)
    assert (result.exit_code, PipelineRun.objects.count()) == (2, 1)
    assert "Choose a step to start from, or change a value." in result.stderr


def test_it_waits_for_the_end_of_the_new_run(alices, failed, monkeypatch):
    def end(*_):
        PipelineRun.objects.filter(original=failed).update(status="failed", status_reason="no luck")

    monkeypatch.setattr("time.sleep", end)
    result = alices("run", "repair", failed.name, "--yes", "--wait")
    assert (result.exit_code, "failed: no luck" in result.stdout) == (1, True)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("tags=[1, 2]", {"tags": [1, 2]}),
        ("run_name=mine", {"run_name": "mine"}),
        ("steps.a.b.parameters.rate=1e-5", {"steps": {"a.b": {"parameters": {"rate": 1e-5}}}}),
        ("steps.a.parameters.text=x=y", {"steps": {"a": {"parameters": {"text": "x=y"}}}}),
        ('steps.a.parameters.text="5"', {"steps": {"a": {"parameters": {"text": "5"}}}}),
        ("steps.a.enable_cache=false", {"steps": {"a": {"enable_cache": False}}}),
    ],
)
def test_a_single_value_is_json_or_else_text(setting, expected):
    assert read_values(None, [setting]) == expected


@pytest.mark.parametrize("setting", ["rate", "=1", "steps..rate=1", "steps.a.parameters.=1"])
def test_a_single_value_without_its_place_is_refused(setting):
    with pytest.raises(ValidationFailed, match="write it as PATH=VALUE"):
        read_values(None, [setting])


def test_a_single_value_inside_of_another_is_refused():
    with pytest.raises(ValidationFailed, match="tags already has a value"):
        read_values(None, ["tags=x", "tags.first=y"])


def test_a_run_is_stopped_and_waited_for(alices, template, alice):
    run = launch(template, alice)
    result = alices("run", "stop", run.name, "--wait")
    assert (result.exit_code, result.stdout) == (0, f"Run {run.name} stopped: alice asked to stop the run.\n")
    run.refresh_from_db()
    assert run.status == "stopped"


def test_without_waiting_it_says_where_to_look(alices, template, alice):
    run = launch(template, alice)
    assert (
        f"was asked to stop: http://localhost:8000/runs/{run.id}/" in alices("run", "stop", run.name).stdout
    )


def test_a_run_that_has_ended_stays_as_it_is(alices, failed):
    result = alices("run", "stop", failed.name)
    assert (result.exit_code, result.stdout) == (0, f"Run {failed.name} has ended already: failed.\n")


def test_a_run_that_does_not_exist_is_not_stopped(alices):
    assert alices("run", "stop", "nothing").exit_code == 1
