"""`zenweb schedule`."""

from datetime import UTC, datetime

from runs_app.models import PipelineRun, Schedule
from runs_app.schedules import fire_due_schedules
from templates_app.models import RunTemplate

CREATE = ("schedule", "create", "daily-retraining", "--name", "nightly", "--zone", "Asia/Tokyo")


def test_a_schedule_is_made_with_values_and_listed(alices, template, tmp_path):
    (tmp_path / "run.yaml").write_text("steps: {trainer: {parameters: {learning_rate: 0.5}}}")
    made = alices(*CREATE, "--cron", "0 0 1 1 *", "--config", str(tmp_path / "run.yaml"))
    year = datetime.now(UTC).year + 1
    assert made.stdout == f"Schedule nightly runs daily-retraining next {year}-01-01 00:00 JST.\n"
    assert Schedule.objects.get().configuration["steps"]["trainer"]["parameters"]["learning_rate"] == 0.5
    [heads, line] = alices("schedule", "list").stdout.splitlines()
    assert heads.split() == ["NAME", "TEMPLATE", "CRON", "ZONE", "NEXT", "LAST"]
    shown = ["nightly", "daily-retraining", "0 0 1 1 *", "Asia/Tokyo", f"{year}-01-01 00:00 JST"]
    assert [part for part in line.split("  ") if part] == shown


def test_why_it_made_no_run_is_listed(alices, template):
    alices(*CREATE, "--cron", "0 0 1 1 *")
    RunTemplate.objects.update(is_enabled=False)
    Schedule.objects.update(next_time=datetime(2020, 1, 1, tzinfo=UTC))
    fire_due_schedules()
    assert 'JST no run: The template "daily-retraining" is switched off.' in alices("schedule", "list").stdout


def test_how_its_last_run_ended_is_listed(alices, template):
    alices(*CREATE, "--cron", "0 0 1 1 *")
    Schedule.objects.update(next_time=datetime(2020, 1, 1, tzinfo=UTC))
    fire_due_schedules()
    assert alices("schedule", "list").stdout.splitlines()[1].endswith("JST run initializing")
    PipelineRun.objects.update(status="failed")
    assert alices("schedule", "list").stdout.splitlines()[1].endswith("JST run failed")


def test_a_schedule_is_paused_resumed_and_deleted(alices, template):
    alices(*CREATE, "--cron", "0 0 1 1 *")
    assert "is paused" in alices("schedule", "pause", "nightly").stdout
    assert "paused" in alices("schedule", "list").stdout
    assert Schedule.objects.get().is_paused
    assert "next 2" in alices("schedule", "resume", "nightly").stdout
    assert not Schedule.objects.get().is_paused
    assert alices("schedule", "delete", "nightly", input="n\n").exit_code == 1
    assert Schedule.objects.exists()
    assert "nightly is deleted" in alices("schedule", "delete", "nightly", "--yes").stdout
    assert not Schedule.objects.exists()
    assert "There is no schedule yet" in alices("schedule", "list").stdout


def test_what_is_wrong_has_a_line_each(alices, template):
    result = alices(
        "schedule", "create", "daily-retraining", "--name", "x", "--cron", "daily", "--zone", "Tokio"
    )
    assert result.exit_code == 2
    [_, zone, cron] = result.stderr.splitlines()
    assert "no time zone 'Tokio'" in zone
    assert 'such as "30 6 * * MON-FRI"' in cron


def test_a_schedule_that_does_not_exist_is_told(alices, template):
    alices(*CREATE, "--cron", "0 0 1 1 *")
    result = alices("schedule", "pause", "nihgtly")
    assert (result.exit_code, "Did you mean 'nightly'?" in result.stderr) == (1, True)
