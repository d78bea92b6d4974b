"""Defaults that are found when a run is asked for, in every channel."""

import json
import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from runs_app.dynamic_defaults import find_defaults
from runs_app.models import PipelineRun, Schedule
from runs_app.presets import create_preset
from runs_app.repair import Repair, preview_repair
from runs_app.schedules import create_schedule, fire_schedule
from templates_app.models import Preset, RunTemplate, Stack
from templates_app.services import curate_run_template
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import ValidationFailed

UNTIL = "steps.report.parameters.until"
THRESHOLD = {"steps": {"report": {"parameters": {"threshold": 5.0}}}}


@pytest.fixture
def dated(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("dated.dated", alice, stacks["celery"]), alice, "dated")


def day(back: int) -> str:
    return (timezone.localdate() - timedelta(days=back)).isoformat()


def values(run: PipelineRun) -> dict[str, Any]:
    return run.parameters["report"]


def complete(run: PipelineRun) -> PipelineRun:
    PipelineRun.objects.filter(pk=run.pk).update(status=ExecutionStatus.COMPLETED, end_time=timezone.now())
    run.refresh_from_db()
    return run


def test_what_is_not_given_is_found_and_stored_with_the_run(dated: RunTemplate, alice: User) -> None:
    run = launch(dated, alice, THRESHOLD)
    found = values(run)
    assert (found["until"], found["since"], found["rate"]) == (day(1), day(7), 0.1)
    assert timezone.now() - datetime.fromisoformat(found["at"]) < timedelta(minutes=1)
    assert run.resolved_configuration["steps"]["report"]["parameters"] == found


def test_what_is_given_stays_null_included(dated: RunTemplate, alice: User) -> None:
    given = {"until": "2020-02-29", "since": None, "threshold": 1.5}
    found = values(launch(dated, alice, {"steps": {"report": {"parameters": given}}}))
    assert {name: found[name] for name in given} == given


def test_the_last_successful_value_is_taken_and_asked_for_before_there_is_one(
    dated: RunTemplate, alice: User
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        launch(dated, alice)
    assert [error.pointer for error in refused.value.errors] == ["/steps/report/parameters/threshold"]
    assert "there is no successful run yet" in refused.value.errors[0].message
    parameters = {"threshold": 5.0, "rate": 0.7}
    complete(launch(dated, alice, {"steps": {"report": {"parameters": parameters}}}))
    launch(
        dated, alice, {"steps": {"report": {"parameters": {"threshold": 9.0}}}}
    )  # goes on, so it says nothing
    found = values(launch(dated, alice))
    assert (found["threshold"], found["rate"]) == (5.0, 0.7)


def test_a_value_that_does_not_fit_any_more_is_not_taken(dated: RunTemplate, alice: User) -> None:
    complete(launch(dated, alice, {"steps": {"report": {"parameters": {"threshold": 5.0, "rate": 0.7}}}}))
    narrowed = {"version": 1, "parameters": {"report.rate": {"maximum": 0.5}}}
    template = curate_run_template(actor=alice, template=dated, curation=narrowed)
    assert values(launch(template, alice))["rate"] == 0.1


def test_the_owner_of_a_template_may_say_another_default(dated: RunTemplate, alice: User) -> None:
    fixed = {
        "version": 1,
        "parameters": {"report.until": {"default": "2026-01-31"}, "report.threshold": {"default": 3}},
    }
    template = curate_run_template(actor=alice, template=dated, curation=fixed)
    found = values(launch(template, alice))
    assert (found["until"], found["threshold"]) == ("2026-01-31", 3)


def test_a_preset_follows_the_day(dated: RunTemplate, alice: User, rest: Client) -> None:
    shown = {"until": day(1), "threshold": 5.0}
    preset = create_preset(
        actor=alice, template=dated, name="daily", configuration={"steps": {"report": {"parameters": shown}}}
    )
    assert preset.configuration == THRESHOLD
    answer = rest.post("/api/v1/run_templates/dated/runs?preset=daily", "{}", content_type="application/json")
    assert answer.status_code == 200
    assert values(PipelineRun.objects.get())["until"] == day(1)


def test_what_starts_from_now_is_left_to_the_moment_of_the_run(
    client: Client, dated: RunTemplate, alice: User
) -> None:
    """The form says so, and a preset made of it runs each time for its own moment."""
    client.force_login(alice)
    page = client.get(dated.get_absolute_url()).text
    at = re.search(r'<input[^>]* name="steps.report.parameters.at"[^>]*>', page)
    assert at is not None
    assert "value=" not in at.group()
    assert "Leave empty for “now”" in page
    typed = {UNTIL: day(1), "steps.report.parameters.threshold": "5", "steps.report.parameters.at": ""}
    client.post(dated.get_absolute_url(), typed | {"do": "save-preset", "preset_name": "daily"})
    assert Preset.objects.get().configuration == THRESHOLD
    client.post(dated.get_absolute_url(), typed | {"do": "run"})
    assert timezone.now() - datetime.fromisoformat(values(PipelineRun.objects.get())["at"]) < timedelta(
        minutes=1
    )


@pytest.mark.parametrize(
    ("moment", "found"),
    [
        ("2026-03-29T03:30:00+02:00", "2026-03-29T01:30:00+01:00"),
        ("2026-10-25T03:30:00+01:00", "2026-10-25T02:30:00+01:00"),
    ],
)
def test_an_hour_is_an_hour_when_the_clocks_are_changed(
    stacks: dict[str, Stack], alice: User, moment: str, found: str
) -> None:
    deployment = freeze("dated.hourly", alice, stacks["celery"])
    at = datetime.fromisoformat(moment).astimezone(ZoneInfo("Europe/Berlin"))
    assert find_defaults(deployment, at)["told"]["an_hour_ago"] == found


def test_a_schedule_means_the_day_that_it_is_for_in_its_own_zone(dated: RunTemplate, alice: User) -> None:
    schedule = create_schedule(
        actor=alice,
        template=dated,
        name="nightly",
        cron="0 3 * * *",
        zone="Pacific/Auckland",
        configuration=THRESHOLD,
    )
    Schedule.objects.update(next_time=timezone.now() - timedelta(days=2))
    firing = fire_schedule(schedule.pk)
    assert firing is not None
    nominal = firing.nominal_time.astimezone(ZoneInfo("Pacific/Auckland"))
    found = values(firing.run)
    assert found["until"] == (nominal.date() - timedelta(days=1)).isoformat()
    assert found["at"] == nominal.isoformat()
    assert nominal.hour == 3


def test_a_repair_keeps_what_the_original_found(dated: RunTemplate, alice: User) -> None:
    run = launch(dated, alice, THRESHOLD)
    run.steps.update(status=ExecutionStatus.FAILED)
    PipelineRun.objects.update(status=ExecutionStatus.FAILED)
    resolved = run.resolved_configuration
    resolved["steps"]["report"]["parameters"]["until"] = "2020-01-01"  # as it was found then
    PipelineRun.objects.update(resolved_configuration=resolved)
    repair = Repair(original=PipelineRun.objects.for_page().get(pk=run.pk))
    assert repair.values["steps"]["report"]["parameters"]["until"] == "2020-01-01"
    assert preview_repair(repair, actor=alice).again == ["report"]


def test_the_form_starts_with_what_is_found_and_sends_what_was_seen(
    client: Client, dated: RunTemplate, alice: User
) -> None:
    client.force_login(alice)
    page = client.get(dated.get_absolute_url()).text
    assert f'name="{UNTIL}" value="{day(1)}"' in page
    assert "Default: yesterday" in page
    assert "Default: 7 days before today" in page
    typed = {UNTIL: "2026-01-01", "steps.report.parameters.threshold": "2", "do": "run"}
    assert client.post(dated.get_absolute_url(), typed).status_code == 302
    assert values(PipelineRun.objects.get())["until"] == "2026-01-01"


def test_the_form_asks_for_what_was_not_found(client: Client, dated: RunTemplate, alice: User) -> None:
    client.force_login(alice)
    refused = client.post(dated.get_absolute_url(), {"steps.report.parameters.threshold": ""})
    assert refused.status_code == 422
    assert not PipelineRun.objects.exists()
    complete(launch(dated, alice, THRESHOLD))
    page = client.get(dated.get_absolute_url()).text
    assert 'name="steps.report.parameters.threshold" value="5.0"' in page
    assert "as in the last successful run" in page


def test_yaml_shows_what_differs_from_what_is_found(client: Client, dated: RunTemplate, alice: User) -> None:
    client.force_login(alice)
    typed = {UNTIL: day(1), "steps.report.parameters.threshold": "5", "switch": "yaml"}
    text = client.post(dated.get_absolute_url(), typed).context["form"].yaml_text
    assert "until" not in text
    assert "threshold: 5" in text


def test_rest_tells_that_it_is_found(rest: Client, dated: RunTemplate) -> None:
    told = rest.get("/api/v1/run_templates/dated?hydrate=true").json()
    parameters = told["metadata"]["config_schema"]["properties"]["steps"]["properties"]["report"]
    parameters = parameters["properties"]["parameters"]
    assert parameters["properties"]["until"]["zenweb-default"] == {"source": "today", "offset": -86_400}
    assert parameters["required"] == []
    judged = rest.post(
        "/api/v1/run_templates/dated/validate", json.dumps(THRESHOLD), content_type="application/json"
    ).json()
    assert judged["configuration"]["steps"]["report"]["parameters"]["until"] == day(1)


def test_it_costs_no_query_where_nothing_is_found(
    template: RunTemplate, dated: RunTemplate, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    complete(launch(dated, alice, THRESHOLD))
    find_defaults(template.version), find_defaults(dated.version)
    with django_assert_num_queries(0):
        find_defaults(template.version)
    with django_assert_num_queries(2):
        find_defaults(dated.version)
