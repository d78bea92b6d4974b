"""`zenweb pipeline run`: the code as it is now, on whichever stack."""

import json

import pytest

from runs_app.models import PipelineRun, StepRun
from templates_app.models import CodeArchive, PipelineDeployment
from zenweb.enums import ExecutionStatus

RUN = ("pipeline", "run", "training.training_pipeline")
RATE = "steps.trainer.parameters.learning_rate"
pytestmark = pytest.mark.usefixtures("in_pipelines_folder")


def test_on_a_local_stack_it_runs_here_and_is_recorded(alices, tmp_path):
    (tmp_path / "run.yaml").write_text("tags: [ci]\nsteps: {trainer: {parameters: {model_type: rf}}}")
    result = alices(*RUN, "--config", str(tmp_path / "run.yaml"), "--set", f"{RATE}=0.25")
    assert result.exit_code == 0, result.stderr
    assert "training a rf" in result.stdout
    run = PipelineRun.objects.get()
    assert (run.status, run.tags, run.stack.name) == (ExecutionStatus.COMPLETED, ["ci"], "default")
    assert StepRun.objects.get(name="trainer").parameters == {"learning_rate": 0.25, "model_type": "rf"}


def test_on_a_remote_stack_it_waits_for_workers(alices):
    result = alices(*RUN, "--stack", "celery", "--set", f"{RATE}=0.25", "-o", "id")
    run = PipelineRun.objects.get()
    assert (result.stdout, run.stack.name, run.status) == (
        f"{run.pk}\n",
        "celery",
        ExecutionStatus.INITIALIZING,
    )


def test_values_are_set_by_the_names_of_flags(alices):
    result = alices(*RUN, "--set", "trainer.learning-rate=0.25", "--set", "trainer.model_type=rf")
    assert result.exit_code == 0, result.stderr
    assert StepRun.objects.get(name="trainer").parameters == {"learning_rate": 0.25, "model_type": "rf"}


def test_values_are_checked_before_anything_is_stored(alices):
    result = alices(*RUN, "--set", f"{RATE}=7", "--set", "steps.trainr.enable_cache=true")
    assert result.exit_code == 2
    assert f"/{RATE.replace('.', '/')}: " in result.stderr
    assert "trainr" in result.stderr
    assert not CodeArchive.objects.exists()
    assert not PipelineDeployment.objects.exists()


def test_a_dry_run_says_what_would_run_and_stores_nothing(alices):
    result = alices(*RUN, "--set", f"{RATE}=0.25", "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert 'learning_rate=0.25, model_type="svm"' in result.stdout
    assert json.loads(alices(*RUN, "--dry-run", "-o", "json").stdout)["warnings"] == []
    assert not PipelineDeployment.objects.exists()


def test_a_step_that_fails_here_ends_the_command_with_its_traceback(alices):
    result = alices(
        "pipeline", "run", "failures.fragile_pipeline", "--set", "steps.ends.parameters.how=raise"
    )
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("ends: ValueError: the data is empty\n")
    assert PipelineRun.objects.get().status == ExecutionStatus.FAILED


def test_parameters_of_the_pipeline_itself_put_it_together(alices):
    result = alices("pipeline", "run", "composed.composed_pipeline", "--set", "parameters.n_models=3")
    assert result.exit_code == 0, result.stderr
    assert StepRun.objects.filter(name__startswith="train").count() == 3
    wrong = alices("pipeline", "run", "composed.composed_pipeline", "--set", "parameters.n_models=51")
    assert (wrong.exit_code, wrong.stderr.count("/parameters/n_models: ")) == (2, 1)


def test_parameters_of_the_pipeline_itself_are_set_by_the_names_of_flags(alices):
    result = alices("pipeline", "run", "composed.composed_pipeline", "--set", "n-models=3")
    assert result.exit_code == 0, result.stderr
    assert StepRun.objects.filter(name__startswith="train").count() == 3


def test_time_limits_are_for_runs_that_go_on_elsewhere(alices):
    assert alices(*RUN, "--timeout", "1").exit_code == 2
    assert not PipelineRun.objects.exists()


def test_steps_are_mapped_here_as_by_workers(alices):
    result = alices("pipeline", "run", "mapped.chained_pipeline")
    assert result.exit_code == 0, result.output
    names = (
        StepRun.objects.filter(status=ExecutionStatus.COMPLETED)
        .order_by("name")
        .values_list("name", flat=True)
    )
    elements = [f"{step}-{number}" for step in ("check", "train") for number in range(3)]
    assert sorted(names) == sorted(["regions", "collect", "check", "train", *elements])
    alices("pipeline", "run", "mapped.literal_pipeline")
    assert PipelineRun.objects.filter(status=ExecutionStatus.COMPLETED).count() == 2


def test_steps_are_skipped_here_as_by_workers(alices):
    result = alices(
        "pipeline", "run", "conditional.deploying_pipeline", "--set", "steps.score.parameters.value=0.1"
    )
    assert result.exit_code == 0, result.output
    steps = dict(StepRun.objects.values_list("name", "status"))
    assert (steps["deploy"], steps["keep"], steps["report"]) == ("stopped", "completed", "completed")
