"""`zenweb pipeline create-run-template`."""

import re

import pytest

from templates_app.models import PipelineDeployment, RunTemplate
from tests.factories import PIPELINES

CREATE = ("pipeline", "create-run-template")
TRAINING = (*CREATE, "training.training_pipeline", "--name", "daily")
pytestmark = pytest.mark.usefixtures("in_pipelines_folder")


def test_a_template_is_made_from_the_current_folder(alices):
    result = alices(*TRAINING, "--stack", "celery")
    template = RunTemplate.objects.get(name="daily")
    made, code = result.stdout.splitlines()
    assert made == f"Run template daily, version 1: http://localhost:8000/templates/{template.id}/"
    assert re.fullmatch(rf"Code: \d+ files, [\d.]+ [kM]B, of {PIPELINES}\.", code)


def test_what_is_stored_with_it_and_what_is_left_out_is_said(alices, tmp_path, monkeypatch):
    folder = tmp_path / "code"
    for name in (".env", "1.csv", "2.csv", "3.csv", "4.csv", "5.csv", "data/x", ".venv/y"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "lonely.py").write_text("from zenweb import pipeline\n@pipeline\ndef alone(): ...\n")
    (folder / ".gitignore").write_text("data/\n*.csv\n")
    monkeypatch.chdir(folder)
    create = (*CREATE, "lonely.alone", "--name", "lonely", "--stack", "celery")
    size = sum((folder / name).stat().st_size for name in (".gitignore", "lonely.py"))
    line = f"Code: 2 files, {size} bytes, of {folder}; left out by rules: .env, 1.csv, 2.csv, 3.csv, 4.csv"
    assert alices(*create).stdout.splitlines()[1] == f"{line} and 2 more."
    told = alices(*create, "--update", "-v").stdout.splitlines()
    assert told[1:] == [f"{line}, 5.csv, data/.", "  .gitignore", "  lonely.py"]


def test_a_local_stack_is_refused_with_the_remote_ones(alices):
    result = alices(*TRAINING)
    assert (result.exit_code, RunTemplate.objects.count()) == (2, 0)
    assert "celery" in result.stderr
    assert "--stack" in result.stderr


def test_a_name_that_exists_is_refused_unless_updated(alices):
    alices(*TRAINING, "--stack", "celery")
    assert alices(*TRAINING, "--stack", "celery").exit_code == 1
    assert "version 1" in alices(*TRAINING, "--stack", "celery", "--update").stdout
    assert PipelineDeployment.objects.count() == 1


def test_a_configuration_gives_the_values_to_start_from(alices, tmp_path):
    (tmp_path / "run.yaml").write_text("steps: {trainer: {parameters: {learning_rate: 1e-5}}}")
    result = alices(*TRAINING, "--stack", "celery", "--config", str(tmp_path / "run.yaml"))
    assert result.exit_code == 0, result.stderr
    template = RunTemplate.objects.get().deployment.config_template
    assert template["steps"]["trainer"]["parameters"]["learning_rate"] == 1e-5


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("trainings.training_pipeline", "trainings"),
        ("training.pipeline_training", "pipeline_training"),
        ("training.trainer", "trainer"),
        ("training", "run.my_pipeline"),
    ],
)
def test_a_source_that_is_no_pipeline_is_one_sentence(alices, source, sentence):
    result = alices(*CREATE, source, "--name", "daily", "--stack", "celery")
    assert (result.exit_code, result.stderr.count("\n"), RunTemplate.objects.count()) == (1, 1, 0)
    assert sentence in result.stderr


@pytest.mark.parametrize("words", [("run",), ("create-run-template", "--name", "daily", "--stack", "celery")])
def test_what_a_pipelines_function_raises_is_told_with_its_own_frames(alices, words):
    result = alices("pipeline", words[0], "failures.raising_pipeline", *words[1:])
    assert (result.exit_code, PipelineDeployment.objects.count()) == (1, 0)
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert (result.stderr.count("File "), result.stderr.count("failures.py")) == (2, 3)
    assert "ZeroDivisionError: division by zero\nPipeline 'raising_pipeline' cannot be put" in result.stderr


def test_a_configuration_that_does_not_exist_is_a_usage_error(alices):
    assert alices(*TRAINING, "--config", "no.yaml").exit_code == 2


def test_pipelines_are_listed(alices):
    assert alices("pipeline", "list").stdout == "The server knows no pipeline yet.\n"
    alices(*TRAINING, "--stack", "celery")
    assert "training_pipeline" in alices("pipeline", "list").stdout
