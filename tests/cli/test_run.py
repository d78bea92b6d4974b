"""`zenweb run-template` and `zenweb run`."""

import pytest
from django.utils import timezone

from runs_app.models import PipelineRun, StepRun
from tests.factories import freeze, make_template
from zenweb.cli.run_template import time_taken


def test_templates_are_listed_with_their_forms(alices, template):
    [_, line] = alices("run-template", "list").stdout.splitlines()
    assert line.split() == [
        "daily-retraining",
        "training_pipeline",
        "1",
        "yes",
        f"http://localhost:8000{template.get_absolute_url()}",
    ]


def test_a_template_is_run_with_a_configuration(alices, template, tmp_path):
    (tmp_path / "run.yaml").write_text("steps: {trainer: {parameters: {learning_rate: 0.5}}}")
    result = alices("run-template", "run", "daily-retraining", "--config", str(tmp_path / "run.yaml"))
    run = PipelineRun.objects.get()
    assert f"/runs/{run.id}/" in result.stdout
    assert run.configuration["steps"]["trainer"]["parameters"]["learning_rate"] == 0.5


def test_wrong_values_have_a_line_each(alices, template, tmp_path):
    (tmp_path / "run.yaml").write_text("steps: {trainer: {parameters: {learning_rate: 2, model_type: tree}}}")
    result = alices("run-template", "run", "daily-retraining", "--config", str(tmp_path / "run.yaml"))
    assert (result.exit_code, PipelineRun.objects.count()) == (2, 0)
    [_, *fields] = result.stderr.splitlines()
    assert [field.strip().partition(":")[0] for field in fields] == [
        "/steps/trainer/parameters/learning_rate",
        "/steps/trainer/parameters/model_type",
    ]


def test_a_run_is_listed_and_described(alices, template):
    alices("run-template", "run", "daily-retraining")
    run = PipelineRun.objects.get()
    assert run.name in alices("run", "list").stdout
    described = alices("run", "describe", run.name).stdout
    assert f"http://localhost:8000/runs/{run.id}/" in described
    steps, history = (part.splitlines()[1:] for part in described.split("\n\n")[1:])
    assert [line.split()[0] for line in steps] == ["trainer", "evaluator"]
    assert "Accepted from alice through the command line with the key tests." in history[0]


def test_a_failed_run_is_described_with_where_it_failed(alices, template):
    alices("run-template", "run", "daily-retraining")
    exception = {"type": "KeyError", "message": "'x'", "traceback": "Traceback …\nKeyError: 'x'\n"}
    StepRun.objects.filter(name="trainer").update(status="failed", exception=exception)
    described = alices("run", "describe", PipelineRun.objects.get().name).stdout
    assert described.endswith("\n\n--- trainer failed\nTraceback …\nKeyError: 'x'\n")


def test_of_a_mapped_step_its_runs_are_counted_and_those_that_failed_are_shown(alices, alice, stacks):
    make_template(freeze("mapped.literal_pipeline", alice, stacks["celery"]), alice, "mapped")
    alices("run-template", "run", "mapped")
    first, *others = StepRun.objects.filter(element__isnull=False).order_by("element")
    StepRun.objects.filter(pk=first.pk).update(status="failed")
    lines = alices("run", "describe", PipelineRun.objects.get().name).stdout.splitlines()
    [mapped] = [line for line in lines if line.startswith(f"{first.name.removesuffix('-0')} ")]
    assert mapped.endswith(f"{len(others) + 1} elements: 1 failed, {len(others)} initializing")
    assert [line.split()[:2] for line in lines if line.startswith(first.name)] == [[first.name, "failed"]]
    assert not any(line.startswith(step.name) for line in lines for step in others)


def test_what_has_started_a_run_and_what_it_started_is_said(alices, template):
    alices("run-template", "run", "daily-retraining")
    alices("run-template", "run", "daily-retraining")
    parent, child = PipelineRun.objects.order_by("index")
    PipelineRun.objects.filter(pk=child.pk).update(parent_step=parent.steps.get(name="trainer"), root=parent)
    assert f"step trainer of run {parent.id}" in alices("run", "describe", child.name).stdout
    assert f"{child.name} (initializing)" in alices("run", "describe", parent.name).stdout


def test_logs_of_a_step_that_does_not_exist_name_those_that_do(alices, template):
    alices("run-template", "run", "daily-retraining")
    result = alices("run", "logs", PipelineRun.objects.get().name, "--step", "tester")
    assert (result.exit_code, "trainer, evaluator" in result.stderr) == (1, True)


def test_a_run_is_followed_line_by_line_under_the_names_of_its_steps(alices, template):
    alices("run-template", "run", "daily-retraining")
    run = PipelineRun.objects.get()
    for name, text in (("trainer", "one\ntwo"), ("evaluator", "three\n")):
        now = timezone.now()
        step = run.steps.get(name=name)
        step.attempts.create(number=1, start_time=now, end_time=now, log_tail=text, status="completed")
    StepRun.objects.update(status="completed")
    PipelineRun.objects.update(status="completed")
    followed = alices("run", "logs", run.name, "-f").stdout
    assert followed.splitlines() == ["trainer | one", "evaluator | three", "trainer | two"]
    assert alices("run", "logs", run.name, "-f", "--step", "trainer").stdout == "one\ntwo"


def test_where_another_attempt_begins_is_said(alices, template):
    alices("run-template", "run", "daily-retraining")
    run = PipelineRun.objects.get()
    for number, text in ((1, "begun"), (2, "again\n")):
        now = timezone.now()
        step = run.steps.get(name="trainer")
        step.attempts.create(number=number, start_time=now, end_time=now, log_tail=text, status="failed")
    StepRun.objects.update(status="completed")
    PipelineRun.objects.update(status="completed")
    followed = alices("run", "logs", run.name, "-f").stdout
    assert followed.splitlines() == ["trainer | begun", "trainer | --- attempt 2", "trainer | again"]
    alone = alices("run", "logs", run.name, "-f", "--step", "trainer").stdout
    assert alone == "begun\n--- attempt 2\nagain\n"


def test_how_many_runs_go_on_at_once_is_changed(alices, template):
    limited = alices(
        "run-template", "update", template.name, "--max-concurrent-runs", "1", "--concurrency-policy", "skip"
    )
    assert limited.stdout == f"Run template {template.name}: at most 1 at once, further runs are not run.\n"
    alices("run-template", "run", template.name)
    waited = alices("run-template", "run", template.name, "--wait")
    assert waited.exit_code == 3
    assert "stopped: It was not run:" in waited.stdout
    unlimited = alices("run-template", "update", template.name, "--max-concurrent-runs", "0")
    assert unlimited.stdout == f"Run template {template.name}: any number of runs at once.\n"


def test_an_update_of_nothing_says_what_can_be_changed(alices, template):
    result = alices("run-template", "update", template.name)
    assert (result.exit_code, "--max-concurrent-runs" in result.stderr) == (2, True)


def test_runs_are_listed_by_their_status(alices, template):
    alices("run-template", "run", template.name)
    name = PipelineRun.objects.get().name
    assert name in alices("run", "list", "--status", "initializing").stdout
    assert name not in alices("run", "list", "--status", "failed").stdout


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "not known yet"), (0.000499, "less than a second"), (12.4, "about 12 s"), (4000, "about 67 min")],
)
def test_a_forecast_is_no_finer_than_it_can_be(seconds, words):
    assert time_taken(seconds) == words


def test_a_dry_run_says_what_would_happen(alices, template):
    told = alices(
        "run-template",
        "run",
        "daily-retraining",
        "--dry-run",
        "--set",
        "steps.trainer.parameters.learning_rate=0.2",
    )
    assert told.exit_code == 0
    assert [line.split() for line in told.stdout.splitlines()[:3]] == [
        ["STEP", "WOULD"],
        ["trainer", "runs"],
        ["evaluator", "runs"],
    ]
    assert "Waits     No worker has served queue default yet." in told.stdout
    assert told.stdout.endswith("Nothing was started.\n")
    assert not PipelineRun.objects.exists()
