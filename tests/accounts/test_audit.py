"""The audit tells who did what, from where and with which key, and nobody changes what it tells."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from runs_app.housekeeping import forget_old_events
from runs_app.models import Schedule, StepRun
from runs_app.presets import create_preset, update_preset
from runs_app.schedules import create_schedule, fire_due_schedules, update_schedule
from runs_app.services import note_metadata
from templates_app.models import Pipeline, Preset, RunTemplate, Stack
from templates_app.services import delete_run_template, update_pipeline
from tests.accounts.conftest import ask, bearer
from tests.factories import freeze, launch, make_template
from zenweb.accounts.audit import LONGEST_FACT, record_audit
from zenweb.accounts.models import AuditEvent, User
from zenweb.accounts.services import create_api_key
from zenweb.enums import AuditChannel, AuditVerb
from zenweb.exceptions import NotAllowed

PASSWORD = "alice has a long password"


def last(**of: Any) -> AuditEvent:
    """The newest event, of those that are like this."""
    found = AuditEvent.objects.filter(**of).first()
    assert found is not None, [str(event) for event in AuditEvent.objects.all()]
    return found


def test_it_tells_who_did_what_from_where_and_with_which_key(template: RunTemplate, rest: Client) -> None:
    made = ask(rest, "POST", "/run_templates/daily-retraining/runs").json()
    event = last(verb="start")
    assert (event.user_name, event.api_key_name, event.channel) == ("alice", "tests", "rest")
    assert (event.address, event.noun, event.thing_id) == ("127.0.0.1", "pipeline_run", made["id"])
    assert event.after == {"pipeline": "training_pipeline", "template": "daily-retraining", "version": 1}
    assert event.template_id == template.pk


def test_it_tells_the_door(template: RunTemplate, alices_key: str, client: Client, alice: User) -> None:
    ours = Client(headers={"Authorization": f"Bearer {alices_key}", "X-ZenWeb-Channel": "cli"})
    ask(ours, "PUT", "/run_templates/daily-retraining", {"description": "by the command line"})
    assert last(verb="change").channel == "cli"
    client.force_login(alice)
    client.post(template.get_absolute_url())
    assert last(verb="start").channel == "page"
    launch(template, alice)
    assert last(verb="start").channel == "rest"  # as its trigger says; there is no request


def test_it_tells_what_differs(template: RunTemplate, rest: Client) -> None:
    ask(rest, "PUT", "/run_templates/daily-retraining", {"description": "new", "add_tags": ["a"]})
    event = last(verb="change")
    assert event.before == {"description": template.description, "tags": []}
    assert event.after == {"description": "new", "tags": ["a"]}
    count = AuditEvent.objects.count()
    ask(rest, "PUT", "/run_templates/daily-retraining", {"description": "new"})
    assert AuditEvent.objects.count() == count


def test_it_tells_what_was_there_when_it_was_changed(template: RunTemplate, alice: User) -> None:
    seen_before = Pipeline.objects.get(pk=template.pipeline.pk)
    update_pipeline(actor=alice, pipeline=template.pipeline, description="nightly")
    update_pipeline(actor=alice, pipeline=seen_before, description="weekly")
    assert last(noun="pipeline").before == {"description": "nightly"}


def test_what_is_refused_or_rolled_back_is_not_told(template: RunTemplate, alice: User, bob: User) -> None:
    count = AuditEvent.objects.count()
    with pytest.raises(NotAllowed):
        delete_run_template(actor=bob, template=template)
    with transaction.atomic():
        delete_run_template(actor=alice, template=template)
        transaction.set_rollback(True)
    assert AuditEvent.objects.count() == count


def test_it_outlives_who_and_what_it_tells_of(template: RunTemplate, alice: User) -> None:
    delete_run_template(actor=alice, template=template)
    alice.delete()
    event = last(verb="delete")
    assert (event.user_name, event.thing_name) == ("alice", "daily-retraining")


def test_it_is_never_changed(alice: User) -> None:
    record_audit(actor=alice, verb=AuditVerb.CREATE, thing=alice)
    event, events = last(), AuditEvent.objects.all()
    for change in (
        event.save,
        event.delete,
        events.delete,
        lambda: events.update(user_name="bob"),
        lambda: events.bulk_update([event], ["user_name"]),
        lambda: AuditEvent.objects.update_or_create(pk=event.pk, defaults={"user_name": "bob"}),
    ):
        with pytest.raises(NotAllowed):
            change()
    with (
        pytest.raises(DatabaseError, match="never changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE accounts_auditevent SET user_name = 'bob'")
    assert last().user_name == "alice"


def test_it_is_kept_for_as_long_as_is_set(alice: User, settings: Any) -> None:
    AuditEvent.objects.create(verb="create", noun="user", created=timezone.now() - timedelta(days=100))
    assert forget_old_events() == 0
    settings.KEEP_AUDIT = timedelta(days=101)
    assert forget_old_events() == 0
    record_audit(actor=alice, verb=AuditVerb.CHANGE, thing=alice)
    settings.KEEP_AUDIT = timedelta(days=99)
    assert forget_old_events() == 1
    assert [event.verb for event in AuditEvent.objects.all()] == ["change"]


def test_signing_in_is_told_and_failing_to(client: Client, alice: User) -> None:
    client.post("/login/", {"username": "alice", "password": "wrong"})
    event = last(verb="fail_to_sign_in")
    assert (event.user_id, event.thing_name, event.address) == (None, "alice", "127.0.0.1")
    client.post("/login/", {"username": "alice", "password": PASSWORD})
    assert last(verb="sign_in").user_name == "alice"
    client.post("/logout/")
    assert last(verb="sign_out").channel == "page"
    client.force_login(alice)
    client.post("/admin/logout/")
    assert last(verb="sign_out").channel == "admin"


def test_a_password_that_was_typed_as_a_name_is_not_told(client: Client, db: None) -> None:
    client.post("/login/", {"username": "hunter2-hunter2", "password": "x"})
    event = last(verb="fail_to_sign_in")
    assert (event.thing_id, event.thing_name, event.noun) == ("", "", "user")


def test_signing_in_with_a_key_tells_the_key(alice: User, alices_key: str) -> None:
    Client().post("/api/v1/login", {"grant_type": "zenml-api-key", "password": alices_key})
    assert (last(verb="sign_in").user_name, last(verb="sign_in").api_key_name) == ("alice", "tests")


def test_ending_sessions_is_told(client: Client, alice: User) -> None:
    for each in (Client(), client):
        each.post("/login/", {"username": "alice", "password": PASSWORD})
    client.post("/account/sessions/end/")
    assert last(verb="end_sessions").after == {"sessions": 1}


def test_a_schedules_run_is_told_as_its_owners(template: RunTemplate, alice: User) -> None:
    create_schedule(actor=alice, template=template, name="nightly", cron="0 0 * * *")
    Schedule.objects.update(next_time=timezone.now() - timedelta(days=1))
    fire_due_schedules()
    event = last(verb="start")
    assert (event.user_name, event.channel, event.address) == ("alice", "schedule", "")


def test_it_hides_the_secrets_of_schedules(stacks: dict[str, Stack], alice: User) -> None:
    template = make_template(freeze("shaped.shaped_pipeline", alice, stacks["celery"]), alice, "secretive")
    values = {"steps": {"trainer": {"parameters": {"key": "very-secret"}}}}
    schedule = create_schedule(
        actor=alice, template=template, name="s", cron="0 0 * * *", configuration=values
    )
    update_schedule(actor=alice, schedule=schedule, is_paused=True)
    told = str(list(AuditEvent.objects.values_list("before", "after")))
    assert "trainer" in told
    assert "very-secret" not in told


def test_it_is_no_store_for_large_values(alice: User) -> None:
    facts = {"small": 1, **{f"big{number}": "x" * 30_000 for number in range(150)}}
    record_audit(actor=alice, verb=AuditVerb.CREATE, thing=alice, after=facts)
    after = last().after
    assert (after["small"], after["big1"]) == (1, "(30,002 characters of JSON)")
    assert len(after) == 100
    assert max(len(str(value)) for value in after.values()) <= LONGEST_FACT


def test_a_launch_costs_one_statement_more(template: RunTemplate, alice: User) -> None:
    with CaptureQueriesContext(connection) as asked:
        launch(template, alice)
    assert sum("auditevent" in query["sql"] for query in asked.captured_queries) == 1


def test_a_key_shows_no_secret_in_the_audit(alice: User) -> None:
    _, text = create_api_key(user=alice, name="hidden", actor=alice)
    assert bearer(text).get("/api/v1/current-user").status_code == 200
    event = last(verb="create", noun="api_key")
    assert event.after is not None
    assert set(event.after) == {
        *("user", "name", "description", "access", "is_bound", "expires_at", "revoked_at", "rotated_at"),
        "former_until",
    }


def test_the_values_of_a_private_preset_are_told_to_nobody(template: RunTemplate, alice: User) -> None:
    values = {"steps": {"trainer": {"parameters": {"learning_rate": 0.25}}}}
    preset = create_preset(actor=alice, template=template, name="mine", configuration=values)
    assert last(noun="preset").after == {"name": "mine", "is_shared": False}
    update_preset(actor=alice, preset=preset, is_shared=True)
    assert "0.25" in str(last(noun="preset").after)


def test_the_admin_tells_nobody_the_values_of_a_private_preset(
    client: Client, boss: User, template: RunTemplate
) -> None:
    client.force_login(boss)
    values = {"steps": {"trainer": {"parameters": {"learning_rate": 0.25}}}}
    for name in ("one", "two"):
        create_preset(actor=boss, template=template, name=name, configuration=values)
    first, second = Preset.objects.all()
    client.post(reverse("admin:templates_app_preset_delete", args=[first.pk]), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [str(second.pk)], "post": "yes"}
    client.post(reverse("admin:templates_app_preset_changelist"), chosen)
    told = AuditEvent.objects.filter(noun="preset", verb="delete", template_id=template.pk)
    assert [event.before for event in told] == [{"name": name, "is_shared": False} for name in ("two", "one")]


def test_what_is_noted_about_a_step_is_told_to_the_templates_owner(
    template: RunTemplate, alice: User
) -> None:
    step = StepRun.objects.filter(run=launch(template, alice)).first()
    assert step is not None
    StepRun.objects.filter(pk=step.pk).update(status="completed")
    step.refresh_from_db()
    note_metadata(actor=alice, things=[step], values={"accuracy": 0.5})
    event = last(verb="note_metadata")
    assert (event.noun, event.template_id, event.after) == ("step_run", template.pk, {"names": ["accuracy"]})


def test_every_verb_and_channel_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs/audit.md").read_text()
    words = set(re.findall(r"\w+", text))
    assert {*AuditVerb, *AuditChannel} <= words


def test_other_values_of_a_private_preset_are_told_but_not_which(template: RunTemplate, alice: User) -> None:
    preset = create_preset(actor=alice, template=template, name="mine")
    values = {"steps": {"trainer": {"parameters": {"learning_rate": 0.2}}}}
    update_preset(actor=alice, preset=preset, configuration=values)
    update_preset(actor=alice, preset=preset, configuration=values)
    [told] = AuditEvent.objects.filter(verb=AuditVerb.CHANGE, thing_id=str(preset.pk))
    assert told.after == {"configuration": "Other values, which are its owner's alone."}
