"""Schedules over REST."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from runs_app.models import PipelineRun, Schedule
from runs_app.schedules import fire_due_schedules
from templates_app.models import RunTemplate
from zenweb.accounts.models import RoleGrant, User
from zenweb.enums import Role

API = "/api/v1/schedules"
WRONG = {"steps": {"trainer": {"parameters": {"learning_rate": 2}}}}


def body(**fields: Any) -> dict[str, Any]:
    return {
        "name": "new year",
        "template": "daily-retraining",
        "cron_expression": "0 0 1 1 *",
        "zone": "Asia/Tokyo",
        **fields,
    }


def post(rest: Client, **fields: Any) -> Any:
    return rest.post(API, body(**fields), content_type="application/json")


def put(rest: Client, schedule: str, **fields: Any) -> Any:
    return rest.put(f"{API}/{schedule}", fields, content_type="application/json")


def test_a_schedule_is_made_and_shows_its_next_five_times(rest: Client, template: RunTemplate) -> None:
    answer = post(rest, configuration={"tags": ["yearly"]})
    assert answer.status_code == 200
    entity = answer.json()
    assert entity == rest.get(f"{API}/new year").json() == rest.get(f"{API}/{entity['id']}").json()
    year = datetime.now(UTC).year
    expected = [f"{year + number}-12-31T15:00:00.000000" for number in range(5)]
    assert entity["body"]["next_times"] == expected
    assert (entity["body"]["active"], entity["body"]["zone"]) == (True, "Asia/Tokyo")
    assert entity["metadata"]["configuration"] == {"tags": ["yearly"]}
    assert entity["resources"]["template"]["name"] == "daily-retraining"


def test_it_tells_how_it_fired_last(rest: Client, template: RunTemplate) -> None:
    post(rest)
    for is_enabled in (True, False):
        RunTemplate.objects.update(is_enabled=is_enabled)
        Schedule.objects.update(next_time=datetime(2020 + is_enabled, 1, 1, tzinfo=UTC))
        Schedule.objects.update(cron=f"{30 - 30 * is_enabled} 0 1 1 *")
        fire_due_schedules()
    told = rest.get(f"{API}/new year").json()["body"]
    run = PipelineRun.objects.get()
    assert told["last_run_id"] == str(run.pk)
    assert told["last_fired"] == told["last_refused"]
    assert told["last_fired"].endswith("-31T15:30:00.000000")
    assert told["last_refusal"].startswith('The template "daily-retraining" is switched off.')
    found = rest.get(f"/api/v1/runs?schedule_id={Schedule.objects.get().pk}").json()
    assert [item["id"] for item in found["items"]] == [str(run.pk)]


def test_it_is_paused_resumed_changed_and_deleted(rest: Client, template: RunTemplate) -> None:
    post(rest)
    paused = put(rest, "new year", active=False).json()["body"]
    assert (paused["active"], paused["next_times"]) == (False, [])
    assert put(rest, "new year", active=True).json()["body"]["next_times"] != []
    changed = put(rest, "new year", name="daily", cron_expression="0 6 * * *", zone="UTC", configuration={})
    assert changed.json()["name"] == "daily"
    assert changed.json()["body"]["next_times"][0].endswith("T06:00:00.000000")
    assert rest.delete(f"{API}/daily").json() is None
    assert rest.get(f"{API}/daily").status_code == 404


@pytest.mark.parametrize(
    ("fields", "status", "pointers"),
    [
        ({"cron_expression": "every day", "zone": "Tokyo"}, 422, {"/cron_expression", "/zone"}),
        ({"configuration": WRONG}, 422, {"/configuration/steps/trainer/parameters/learning_rate"}),
        ({"configuration": [1]}, 422, {"/configuration"}),
        ({"cron_expression": None}, 422, {"/cron_expression"}),
        ({"template": "nothing"}, 404, set()),
        ({"project": "nowhere"}, 404, set()),
    ],
)
def test_bad_input_is_refused_and_nothing_is_made(
    rest: Client, template: RunTemplate, fields: dict[str, Any], status: int, pointers: set[str]
) -> None:
    answer = post(rest, **fields)
    assert answer.status_code == status
    assert {error["pointer"] for error in answer.json().get("errors", ())} == pointers
    assert not Schedule.objects.exists()


def test_a_name_that_is_taken_is_refused(rest: Client, template: RunTemplate) -> None:
    assert [post(rest).status_code, post(rest).status_code] == [200, 409]


def test_another_persons_schedule_is_seen_and_not_touched(
    rest: Client, template: RunTemplate, alice: User, bob: User
) -> None:
    post(rest)
    RunTemplate.objects.update(user=bob)
    Schedule.objects.update(user=bob)
    RoleGrant.objects.filter(user=alice).update(role=Role.RUNNER)
    assert rest.get(f"{API}/new year").status_code == 200
    assert put(rest, "new year", active=False).status_code == 403
    assert rest.delete(f"{API}/new year").status_code == 403
    assert not Schedule.objects.get().is_paused


def test_without_credentials_nothing_is_shown(client: Client) -> None:
    assert client.get(API).status_code == 401


def test_they_are_listed_in_as_many_queries_however_many_there_are(
    rest: Client, template: RunTemplate, django_assert_max_num_queries: Any
) -> None:
    for number in range(8):
        post(rest, name=f"schedule {number}", active=number != 3)
    with django_assert_max_num_queries(6):
        listed = rest.get(f"{API}?template=daily-retraining&active=True&sort_by=desc:name").json()
    assert [item["name"] for item in listed["items"]] == [
        f"schedule {number}" for number in (7, 6, 5, 4, 2, 1, 0)
    ]
