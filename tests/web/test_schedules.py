"""A template's page names its schedules; the admin pauses them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from runs_app.launching import SCHEDULES
from runs_app.models import Schedule
from runs_app.schedules import create_schedule, fire_due_schedules
from templates_app.models import RunTemplate
from zenweb.accounts.models import User


@pytest.fixture
def nightly(template: RunTemplate, alice: User) -> Schedule:
    return create_schedule(
        actor=alice, template=template, name="nightly", cron="30 2 * * MON-FRI", zone="Europe/Berlin"
    )


def page(client: Client, template: RunTemplate, user: User) -> str:
    client.force_login(user)
    return client.get(template.get_absolute_url()).content.decode()


def test_a_template_without_schedules_does_not_speak_of_them(
    client: Client, template: RunTemplate, bob: User
) -> None:
    assert "Schedules" not in page(client, template, bob)


def test_a_template_names_its_schedules_and_their_next_time(
    client: Client, template: RunTemplate, nightly: Schedule, bob: User
) -> None:
    Schedule.objects.update(next_time=datetime.now(UTC) + timedelta(hours=5, minutes=1))
    shown = page(client, template, bob)
    assert "in 5\N{NO-BREAK SPACE}hours" in shown
    assert "At 02:30 on Monday through Friday, Europe/Berlin" in shown
    nightly.refresh_from_db()
    assert f"{nightly.local_next_time:%H:%M}</span>" in shown
    assert "Owner: alice" in shown


def test_a_template_tells_that_a_schedule_is_paused_and_why_one_made_no_run(
    client: Client, template: RunTemplate, nightly: Schedule, alice: User
) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    Schedule.objects.update(next_time=datetime.now(UTC) - timedelta(days=7))
    fire_due_schedules()
    User.objects.filter(pk=alice.pk).update(is_active=True)
    assert "The account of its owner, alice, is switched off." in page(client, template, alice)
    Schedule.objects.update(is_paused=True, next_time=None)
    assert "Paused" in page(client, template, alice)


def test_many_schedules_are_shown_a_page_at_a_time_the_next_to_run_first(
    client: Client, template: RunTemplate, nightly: Schedule, alice: User
) -> None:
    Schedule.objects.update(is_paused=True, next_time=None)
    for number in range(SCHEDULES + 1):
        schedule = create_schedule(
            actor=alice, template=template, name=f"number {number}", cron=f"{number} 0 * * *"
        )
        Schedule.objects.filter(pk=schedule.pk).update(
            next_time=datetime.now(UTC) + timedelta(hours=SCHEDULES + 1 - number)
        )
    client.force_login(alice)
    pages = [
        client.get(template.get_absolute_url(), {"page": number}).context["schedules"] for number in (1, 2)
    ]
    assert [schedule.name for schedule in pages[0]] == [
        f"number {SCHEDULES - place}" for place in range(SCHEDULES)
    ]
    assert [schedule.name for schedule in pages[1]] == ["number 0", "nightly"]
    assert f"1–{SCHEDULES} of {SCHEDULES + 2}" in page(client, template, alice)


def test_the_admin_pauses_and_resumes_and_shows_what_was_fired(
    client: Client, stacks: object, nightly: Schedule
) -> None:
    client.force_login(User.objects.get(username="admin"))
    Schedule.objects.update(next_time=datetime.now(UTC) - timedelta(days=7))
    fire_due_schedules()
    address = reverse("admin:runs_app_schedule_changelist")
    for action, is_paused in (("pause", True), ("resume", False)):
        client.post(address, {"action": action, "_selected_action": [str(nightly.pk)]})
        nightly.refresh_from_db()
        assert (nightly.is_paused, nightly.next_time is None) == (is_paused, is_paused)
    assert "nightly" in client.get(address, {"q": "retraining"}).content.decode()
    shown = client.get(reverse("admin:runs_app_schedule_change", args=[nightly.pk])).content.decode()
    assert nightly.firings.get().run.name in shown
