"""`zenweb run-template export` and `apply`: a folder of files is what templates are."""

import json
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from runs_app.models import PipelineRun, Worker
from templates_app.models import CodeArchive, Pipeline, PipelineDeployment, RunTemplate, RunTemplateVersion
from templates_app.services import curate_run_template
from tests.factories import launch
from zenweb.config.code_archive import pack
from zenweb.config.template_bundle import CODE, DOCUMENT, read_bundle
from zenweb.config.template_file import read_template_file


def texts(result):
    assert result.exit_code == 0, result.output
    return result.stdout


def forget_all():
    """Another server, as far as templates and code are concerned."""
    RunTemplate.objects.update(latest_version=None)
    for model in (RunTemplateVersion, RunTemplate, PipelineDeployment, CodeArchive, Pipeline):
        model.objects.all().delete()


@pytest.fixture
def exported(alices, template, tmp_path) -> Path:
    """A folder with the one template and its code."""
    folder = tmp_path / "templates"
    texts(alices("run-template", "export", "--all", "--output", str(folder), "--with-code"))
    return folder


def test_a_second_export_is_byte_for_byte_the_first(alices, template, tmp_path):
    first = alices("run-template", "export", "daily-retraining").stdout_bytes
    assert alices("run-template", "export", "daily-retraining").stdout_bytes == first
    assert read_template_file(first.decode(), "t").name == "daily-retraining"
    for path in (tmp_path / "a.zip", tmp_path / "b.zip"):
        texts(alices("run-template", "export", "daily-retraining", "-o", str(path)))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_comments_and_order_of_a_file_stay(alices, exported):
    path = exported / "daily-retraining.yaml"
    path.write_text(path.read_text().replace("tags: []\n", "# Ours, see the wiki\ntags: []  # none\n", 1))
    texts(alices("run-template", "update", "daily-retraining", "--description", "New words"))
    texts(alices("run-template", "export", "daily-retraining", "--into", str(path)))
    assert "# Ours, see the wiki\ntags: []  # none\n" in path.read_text()
    assert read_template_file(path.read_text(), "t").description == "New words"


def test_staging_to_production_with_the_identical_code(alices, template, tmp_path):
    path = tmp_path / "t.zip"
    texts(alices("run-template", "export", "daily-retraining", "-o", str(path)))
    code = bytes(CodeArchive.objects.get().content)
    assert read_bundle(path).code == code
    forget_all()
    assert (
        texts(alices("run-template", "apply", "-f", str(path))) == "+ daily-retraining   created, version 1\n"
    )
    assert bytes(CodeArchive.objects.get().content) == code
    texts(alices("run-template", "export", "daily-retraining", "-o", str(tmp_path / "again.zip")))
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()
    texts(alices("run-template", "run", "daily-retraining"))
    assert PipelineRun.objects.get().template.name == "daily-retraining"


def test_a_bundle_somebody_tampered_with_is_refused_before_anything_is_sent(alices, template, tmp_path):
    path = tmp_path / "t.zip"
    texts(alices("run-template", "export", "daily-retraining", "-o", str(path)))
    document = zipfile.ZipFile(path).read(DOCUMENT)
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "training.py").write_text("print('mine now')")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(DOCUMENT, document)
        archive.writestr(CODE, pack(tmp_path / "evil").content)
    forget_all()
    result = alices("run-template", "apply", "-f", str(path))
    assert (result.exit_code, RunTemplate.objects.count(), CodeArchive.objects.count()) == (2, 0, 0)
    assert "t.zip: The code archive is not the one its hash names" in result.stderr


def test_a_folder_is_applied_with_the_code_beside_and_again_nothing_changes(alices, exported):
    forget_all()
    assert "+ daily-retraining   created, version 1" in texts(
        alices("run-template", "apply", "-f", str(exported))
    )
    assert texts(alices("run-template", "apply", "-f", str(exported))) == "= daily-retraining   unchanged\n"


def test_code_that_is_nowhere_is_missed_and_other_code_beside_refused(alices, exported):
    forget_all()
    [beside] = (exported / "code").iterdir()
    beside.write_bytes(beside.read_bytes()[:-9])
    result = alices("run-template", "apply", "-f", str(exported))
    assert (result.exit_code, RunTemplate.objects.count()) == (2, 0)
    assert f"{beside}: The code archive is not gzip-compressed" in result.stderr
    beside.unlink()
    result = alices("run-template", "apply", "-f", str(exported), "--dry-run")
    assert "and there is none in" in result.stderr


def test_a_dry_run_shows_each_difference_and_changes_nothing(alices, exported, template):
    path = exported / "daily-retraining.yaml"
    path.write_text(
        path.read_text().replace("tags: []", "tags: [nightly]", 1).replace("hidden: false", "hidden: true")
    )
    told = texts(alices("run-template", "apply", "-f", str(exported), "--dry-run"))
    assert told == (
        "~ daily-retraining   update\n"
        '    tags\n      - []\n      + ["nightly"]\n'
        "    hidden\n      - false\n      + true\n"
        "Nothing was changed.\n"
    )
    template.refresh_from_db()
    assert (template.tags, template.is_hidden) == ([], False)


def test_what_is_wrong_is_told_with_its_line(alices, exported):
    path = exported / "daily-retraining.yaml"
    path.write_text(path.read_text().replace("stack: celery", "stack: nowhere"))
    line = path.read_text().split("stack: nowhere")[0].count("\n") + 1
    result = alices("run-template", "apply", "-f", str(path))
    assert result.exit_code == 2
    assert f"/stack: {path}, line {line}: There is no stack 'nowhere' on this server." in result.stderr


def test_what_is_no_fault_of_a_file_is_said_once_and_not_of_each(alices, exported, monkeypatch):
    path = exported / "daily-retraining.yaml"
    (exported / "b.yaml").write_text(path.read_text().replace("daily-retraining", "b", 1))
    monkeypatch.setenv("ZENWEB_API_KEY", "ZENKEY_wrong")
    result = alices("run-template", "apply", "-f", str(exported))
    assert result.exit_code == alices("run-template", "list").exit_code
    assert (result.stderr.count("\n"), "refused" in result.stderr) == (1, False)


def test_pruning_deletes_what_is_gone_from_the_set_and_nothing_else(alices, exported, deployment, alice):
    path = exported / "daily-retraining.yaml"
    for name in ("b", "c"):
        (exported / f"{name}.yaml").write_text(path.read_text().replace("daily-retraining", name, 1))
    assert "+ c   created" in texts(alices("run-template", "apply", "-f", str(exported), "--set-name", "ml"))
    texts(alices("run-template", "apply", "-f", str(exported / "b.yaml"), "--set-name", "others"))
    (exported / "b.yaml").unlink()
    (exported / "c.yaml").unlink()
    prune = ("run-template", "apply", "-f", str(exported), "--set-name", "ml", "--prune")
    assert "- c   delete\nNothing was changed." in texts(alices(*prune, "--dry-run"))
    assert alices(*prune, input="n\n").exit_code == 1
    assert RunTemplate.objects.count() == 3
    assert "- c   deleted" in texts(alices(*prune, input="y\n"))
    assert set(RunTemplate.objects.values_list("name", flat=True)) == {"daily-retraining", "b"}


def test_nothing_is_pruned_where_a_file_could_not_be_applied(alices, exported):
    texts(alices("run-template", "apply", "-f", str(exported), "--set-name", "ml"))
    path = exported / "daily-retraining.yaml"
    path.write_text(
        path.read_text()
        .replace("name: daily-retraining", "name: another")
        .replace("stack: celery", "stack: x")
    )
    result = alices("run-template", "apply", "-f", str(exported), "--set-name", "ml", "--prune", "--yes")
    assert result.exit_code == 2
    assert "1 of 1 templates could not be applied. Nothing was deleted, either." in result.stderr
    assert RunTemplate.objects.get().name == "daily-retraining"


def test_two_files_of_one_template_and_files_of_none_are_refused_at_once(alices, exported):
    path = exported / "daily-retraining.yaml"
    (exported / "twice.yml").write_text(path.read_text())
    (exported / "run.yaml").write_text("steps: {}\n")
    result = alices("run-template", "apply", "-f", str(exported))
    assert result.exit_code == 2
    assert "both say the template 'daily-retraining'" in result.stderr
    assert "run.yaml" in result.stderr
    assert "those begin with `format: 1`" in result.stderr


def test_a_new_version_is_previewed_with_what_it_breaks(alices, template, bob, tmp_path, monkeypatch):
    launch(template, bob, {"steps": {"trainer": {"parameters": {"model_type": "rf"}}}})
    (tmp_path / "previewed.py").write_text(
        "from zenweb import pipeline, step\n"
        "@step\ndef trainer(learning_rate: float = 0.1) -> float: return learning_rate\n"
        "@pipeline\ndef training_pipeline(): trainer()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    create = (
        "pipeline",
        "create-run-template",
        "previewed.training_pipeline",
        "--stack",
        "celery",
        "--dry-run",
    )
    told = texts(alices(*create, "--name", "daily-retraining", "--update"))
    assert "~ daily-retraining   update, version 2" in told
    assert "    Breaks  trainer.model_type: It is gone.\n" in told
    assert "    Broken  1 recent run of bob over rest, the last one training_pipeline" in told
    assert told.endswith("Nothing was changed.\n")
    assert "+ other   create, version 1" in texts(alices(*create, "--name", "other"))
    refused = alices(*create, "--name", "daily-retraining")
    assert (refused.exit_code, CodeArchive.objects.count()) == (2, 1)


def test_versions_are_compared(alices, template):
    bounded = {"parameters": {"trainer.learning_rate": {"maximum": 0.5}}}
    curate_run_template(actor=template.user, template=template, curation=bounded)
    told = texts(alices("run-template", "compare", "daily-retraining"))
    assert "Breaks  trainer.learning_rate: It takes no numbers above 0.5 any more (before: 1)." in told
    told = texts(alices("run-template", "compare", "daily-retraining", "--from", "2", "--to", "1"))
    assert told == "Version 1 takes all that version 2 took.\n"


def test_every_template_is_checked_and_fails_where_one_does_not_run(alices, template):
    result = alices("run-template", "check", "--all")
    assert (result.exit_code, result.stdout.count("daily-retraining")) == (1, 1)
    assert "failed   queue" in result.stdout
    Worker.objects.create(name="w", hostname="h", pid=1, queues=["default"])
    Worker.objects.update(updated=timezone.now() + timedelta(hours=1))  # however slow this machine is
    assert texts(alices("run-template", "check", "daily-retraining")).split()[5:] == [
        "daily-retraining",
        "1",
        "ok",
    ]
    [report] = json.loads(texts(alices("run-template", "check", "--all", "--output", "json")))
    assert report["runs"] is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export",), "Say which templates, or --all."),
        (("export", "--all"), "Say where to"),
        (("check",), "Say which templates, or --all."),
        (("export", "x", "--with-code"), "Say where to"),
        (("apply", "-f", ".", "--prune"), "say which, with --set-name"),
    ],
)
def test_one_says_what_to_do(alices, arguments, words):
    result = alices("run-template", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
