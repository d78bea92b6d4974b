"""`zenweb run list`, `logs` and `stop` of several."""

from datetime import timedelta

import pytest
from django.utils import timezone

from runs_app.models import PipelineRun, StepRun
from tests.factories import freeze, launch, make_template
from zenweb.cli.run import last_lines


@pytest.fixture
def runs(template, alice, bob, stacks):
    """Alice's of three days ago, Bob's of now, and one of another template."""
    old = launch(template, alice)
    PipelineRun.objects.filter(pk=old.pk).update(
        created=timezone.now() - timedelta(days=3), status="completed"
    )
    other = make_template(freeze("cached.chain", alice, stacks["celery"]), alice, "other")
    return {"old": old, "bobs": launch(template, bob), "other": launch(other, alice)}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], {"old", "bobs", "other"}),
        (["--template", "daily-retraining"], {"old", "bobs"}),
        (["--pipeline", "training_pipeline"], {"old", "bobs"}),
        (["--mine"], {"old", "other"}),
        (["--since", "2d"], {"bobs", "other"}),
        (["--since", "100d", "--mine", "--status", "completed"], {"old"}),
        (["--since", "2020-01-01"], {"old", "bobs", "other"}),
        (["--status", "completed", "--status", "initializing"], {"old", "bobs", "other"}),
        (["--limit", "1"], {"other"}),
    ],
)
def test_runs_are_chosen(alices, runs, filters, expected):
    found = alices("run", "list", "-o", "id", *filters)
    assert found.exit_code == 0, found.output
    assert set(found.stdout.split()) == {str(runs[name].pk) for name in expected}


def test_that_there_are_more_is_said(alices, runs):
    assert "2 of 3. --limit shows more." in alices("run", "list", "--limit", "2").stdout


@pytest.mark.parametrize("since", ["yesterday", "5", "99999999w", "999999w"])
def test_what_is_no_time_is_told_what_one_is(alices, since):
    result = alices("run", "list", "--since", since)
    assert (result.exit_code, "such as 30m, 12h, 7d" in " ".join(result.stderr.split())) == (2, True)


def test_several_runs_are_stopped_at_once_or_none(alices, runs):
    names = [runs["bobs"].name, runs["other"].name]
    assert alices("run", "stop", *names, "nothing").exit_code == 1
    assert not PipelineRun.objects.filter(status="stopped").exists()
    assert alices("run", "stop", *names, "--wait").exit_code == 0
    assert {run.name for run in PipelineRun.objects.filter(status="stopped")} == set(names)


def test_the_end_of_a_log_is_enough(alices, runs):
    run = runs["bobs"]
    now = timezone.now()
    step = run.steps.get(name="trainer")
    step.attempts.create(
        number=1, start_time=now, end_time=now, log_tail="one\ntwo\nthree\n", status="completed"
    )
    StepRun.objects.filter(pk=step.pk).update(status="completed", attempt=1)
    told = alices("run", "logs", run.name, "--step", "trainer", "--tail", "2").stdout
    assert told == "two\nthree\n"
    assert f"=== {run.name}" in alices("run", "logs", run.name, runs["old"].name).stdout


@pytest.mark.parametrize(("number", "text"), [(0, ""), (1, "b"), (9, "a\nb"), (None, "a\nb")])
def test_the_last_lines_of_a_text(number, text):
    assert last_lines("a\nb", number) == text


def test_a_log_is_followed_whole(alices, runs):
    assert alices("run", "logs", runs["bobs"].name, "-f", "--tail", "3").exit_code == 2
