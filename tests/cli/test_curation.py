"""`zenweb run-template curate`."""

import json
from pathlib import Path
from typing import Any

import pytest

from runs_app.models import PipelineRun
from templates_app.models import RunTemplate
from templates_app.services import curate_run_template

CURATION = {"version": 1, "parameters": {"trainer.learning_rate": {"label": "Rate", "locked": 0.3}}}


def test_a_form_is_shaped_by_a_file_and_exported_as_one(alices, template, tmp_path):
    (tmp_path / "form.json").write_text(json.dumps(CURATION))
    result = alices("run-template", "curate", "daily-retraining", "--file", str(tmp_path / "form.json"))
    assert "daily-retraining, version 2: http://localhost:8000/templates/" in result.stdout
    exported = alices("run-template", "curate", "daily-retraining", "--export").stdout
    assert json.loads(exported) == CURATION


def test_the_file_may_be_yaml_and_mistakes_have_a_line_each(alices, template, tmp_path):
    (tmp_path / "form.yaml").write_text("parameters: {trainer.learning_rate: {maximum: 2}}")
    result = alices("run-template", "curate", "daily-retraining", "--file", str(tmp_path / "form.yaml"))
    assert result.exit_code == 2
    assert "/parameters/trainer.learning_rate/maximum: The pipeline itself takes at most 1" in result.stderr


def test_what_is_fixed_cannot_be_set(alices, template, tmp_path):
    (tmp_path / "form.json").write_text(json.dumps(CURATION))
    alices("run-template", "curate", "daily-retraining", "--file", str(tmp_path / "form.json"))
    value = "steps.trainer.parameters.learning_rate=0.5"
    result = alices("run-template", "run", "daily-retraining", "--set", value)
    assert (result.exit_code, PipelineRun.objects.count()) == (2, 0)
    assert "The owner of this template has fixed this at 0.3." in result.stderr
    assert alices("run-template", "run", "daily-retraining").exit_code == 0


def test_one_says_what_to_do(alices, template):
    assert "Say either --file FILE or --export." in alices("run-template", "curate", "x").stderr


@pytest.mark.parametrize(("text", "words"), [("# nothing\n", "says nothing"), ("{}\n", "version 3")])
def test_a_form_is_taken_away_only_by_who_says_so(
    alices: Any, template: RunTemplate, tmp_path: Path, text: str, words: str
) -> None:
    curate_run_template(actor=template.user, template=template, curation=CURATION)
    (tmp_path / "form.yaml").write_text(text)
    result = alices("run-template", "curate", "daily-retraining", "--file", str(tmp_path / "form.yaml"))
    assert words in result.stdout + result.stderr
