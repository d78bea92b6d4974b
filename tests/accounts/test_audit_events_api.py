"""The audit over REST and in the admin: who sees which of it, filters, and the table to take along."""

import csv
import io
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from templates_app.grants import grant_role
from templates_app.models import RunTemplate, Stack
from templates_app.services import delete_run_template, update_run_template
from tests.accounts.conftest import ask, bearer
from tests.factories import freeze, make_editor, make_template
from zenweb.accounts.admin import AuditEventAdmin
from zenweb.accounts.audit import record_audit
from zenweb.accounts.audit_export import AT_ONCE, EXPORTS
from zenweb.accounts.audited_admin import AuditedAdmin
from zenweb.accounts.models import AuditEvent, User
from zenweb.accounts.read_only_admin import ReadOnlyAdmin
from zenweb.accounts.services import create_api_key, create_service_account, delete_service_account
from zenweb.enums import AuditVerb, Role


def told(client: Client, **query: str) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/audit_events", query)
    assert answer.status_code == 200, answer.content
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def table(answer: Any) -> list[dict[str, str]]:
    content = b"".join(answer.streaming_content).decode()
    answer.close()
    return list(csv.DictReader(io.StringIO(content)))


@pytest.fixture
def bobs_template(stacks: dict[str, Stack], bob: User) -> RunTemplate:
    return make_template(freeze("cached.diamond", make_editor(bob), stacks["celery"]), bob, "bobs")


def test_an_administrator_sees_everything_the_newest_first(template: RunTemplate, bosses: Client) -> None:
    assert len(told(bosses, size="1000")) == AuditEvent.objects.count()
    assert told(bosses)[0]["body"]["noun"] == "api_key"
    assert {item["body"]["verb"] for item in told(bosses, verb="add_version")} == {"add_version"}


def test_an_owner_sees_what_was_done_with_the_template(
    template: RunTemplate, bobs_template: RunTemplate, rest: Client, boss: User
) -> None:
    update_run_template(actor=boss, template=template, description="better")
    assert {item["body"]["thing_name"] for item in told(rest)} == {"daily-retraining"}
    assert told(rest)[0]["body"]["user_name"] == "boss"


def test_what_one_may_not_see_is_not_there(bobs_template: RunTemplate, rest: Client, bob: User) -> None:
    event = AuditEvent.objects.get(verb="create", thing_id=str(bobs_template.pk))
    assert rest.get(f"/api/v1/audit_events/{event.pk}").status_code == 404
    bobs = bearer(create_api_key(user=bob, name="bobs")[1])
    assert bobs.get(f"/api/v1/audit_events/{event.pk}").json()["metadata"]["after"]["name"] == "bobs"
    assert table(rest.get("/api/v1/audit_events/export")) == []
    assert Client().get("/api/v1/audit_events").status_code == 401


def test_a_bound_key_sees_the_audit_of_its_templates(
    template: RunTemplate, stacks: dict[str, Stack], alice: User
) -> None:
    make_template(freeze("cached.diamond", alice, stacks["celery"]), alice, "other")
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    bound = bearer(create_api_key(user=alice, name="bound", templates=[template])[1])
    assert {item["body"]["thing_name"] for item in told(bound)} == {"daily-retraining"}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"noun": "pipeline"}, {"diamond"}),
        ({"user": "bob", "noun": "run_template"}, {"bobs"}),
        ({"thing": "bobs"}, {"bobs"}),
        ({"thing_name": "startswith:bo", "verb": 'oneof:["create"]', "noun": "run_template"}, {"bobs"}),
        ({"project": "default", "noun": "run_template"}, {"bobs"}),
        ({"project": "another", "noun": "run_template"}, set()),
        ({"created": "gt:2100-01-01 00:00:00"}, set()),
        ({"user": "nobody"}, set()),
    ],
    ids=str,
)
def test_filters(bobs_template: RunTemplate, bosses: Client, query: dict[str, str], names: set[str]) -> None:
    assert {item["body"]["thing_name"] for item in told(bosses, **query)} == names


def test_nothing_changes_it_over_rest(template: RunTemplate, bosses: Client) -> None:
    event = AuditEvent.objects.all()[0]
    for method in ("PUT", "PATCH", "DELETE", "POST"):
        for path in ("/audit_events", f"/audit_events/{event.pk}"):
            assert ask(bosses, method, path, {"user_name": "x"}).status_code == 405


def test_it_is_taken_along_as_a_table(template: RunTemplate, bosses: Client) -> None:
    answer = bosses.get("/api/v1/audit_events/export?noun=run_template", headers={"Accept": "text/csv"})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert [(row["verb"], row["thing_name"]) for row in table(answer)] == [
        ("add_version", "daily-retraining"),
        ("create", "daily-retraining"),
    ]


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@x", "\tx"])
def test_no_cell_is_a_formula(bosses: Client, alice: User, name: str) -> None:
    AuditEvent.objects.create(verb="create", noun="preset", thing_name=name)
    assert table(bosses.get("/api/v1/audit_events/export?noun=preset"))[0]["thing_name"] == f"'{name}"


def test_a_long_audit_comes_piece_by_piece(bosses: Client, django_assert_max_num_queries: Any) -> None:
    AuditEvent.objects.bulk_create(AuditEvent(verb="create", noun="x") for _ in range(2 * AT_ONCE + 1))
    with django_assert_max_num_queries(6):
        rows = table(bosses.get("/api/v1/audit_events/export?noun=x"))
    assert len({row["id"] for row in rows}) == 2 * AT_ONCE + 1
    assert EXPORTS.taken == 0


def test_too_many_exports_at_once_are_told_to_come_again(bosses: Client) -> None:
    answers = [bosses.get("/api/v1/audit_events/export") for _ in range(EXPORTS.most_of_one + 1)]
    assert [answer.status_code for answer in answers] == [200] * EXPORTS.most_of_one + [503]
    for answer in answers:
        answer.close()
    assert EXPORTS.taken == 0


@pytest.fixture
def admins(client: Client, boss: User) -> Client:
    client.force_login(boss)
    return client


def test_the_admin_shows_and_exports_what_its_filters_leave(admins: Client, template: RunTemplate) -> None:
    url = reverse("admin:accounts_auditevent_changelist")
    assert "daily-retraining" in admins.get(url, {"verb": "create"}).text
    chosen = [str(event.pk) for event in AuditEvent.objects.filter(verb="create")]
    answer = admins.post(
        f"{url}?verb=create", {"action": "take_along", "select_across": "1", "_selected_action": chosen[:1]}
    )
    assert len(table(answer)) == len(chosen)


def test_the_admin_deletes_none_of_it(admins: Client, template: RunTemplate) -> None:
    event = AuditEvent.objects.all()[0]
    for page in ("change", "delete"):
        answer = admins.post(reverse(f"admin:accounts_auditevent_{page}", args=[event.pk]), {"post": "yes"})
        assert answer.status_code == 403


def test_what_the_admin_changes_is_told(admins: Client, alice: User) -> None:
    stack = Stack.objects.create(name="gpus", orchestrator="celery")
    url = reverse("admin:templates_app_stack_change", args=[stack.pk])
    admins.post(url, {"name": "gpus", "orchestrator": "celery", "queue": "gpu", "artifact_store_uri": ""})
    event = AuditEvent.objects.get(noun="stack")
    assert (event.user_name, event.channel, event.before, event.after) == (
        *("boss", "admin"),
        *({"queue": "default"}, {"queue": "gpu"}),
    )


def test_what_the_admin_deletes_is_told(admins: Client, template: RunTemplate, alice: User) -> None:
    stack = Stack.objects.create(name="gpus", orchestrator="celery")
    url = reverse("admin:templates_app_stack_changelist")
    admins.post(url, {"action": "delete_selected", "_selected_action": [str(stack.pk)], "post": "yes"})
    assert AuditEvent.objects.get(noun="stack", verb="delete").thing_name == "gpus"


def test_roles_and_keys_that_go_with_what_is_deleted_are_told(
    admins: Client, template: RunTemplate, boss: User, alice: User, bob: User
) -> None:
    group, machine = Group.objects.create(name="crew"), create_service_account(actor=boss, name="ci")
    for holder in (group, machine, bob):
        grant_role(actor=boss, on=template, to=holder, role=Role.RUNNER)
    create_api_key(user=machine, name="nightly")
    create_api_key(user=bob, name="laptop")
    admins.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"})
    delete_service_account(actor=boss, account=machine)
    delete_run_template(actor=boss, template=template)
    chosen = {"action": "delete_selected", "_selected_action": [str(bob.pk)], "post": "yes"}
    admins.post(reverse("admin:accounts_user_changelist"), chosen)
    told = AuditEvent.objects.filter(verb="delete", noun__in=("role_grant", "api_key")).order_by("created")
    assert [event.before.get("holder") or event.before["name"] for event in told] == [
        *("crew", "ci", "nightly", "bob", "laptop"),
    ]
    assert {event.user_name for event in told} == {"boss"}


def test_a_password_that_the_admin_sets_is_told_and_not_which(admins: Client, alice: User) -> None:
    url = reverse("admin:auth_user_password_change", args=[alice.pk])
    secret = "a long one that nobody guesses"
    admins.post(url, {"password1": secret, "password2": secret, "usable_password": "true"})
    event = AuditEvent.objects.get(verb="change_password")
    assert (event.user_name, event.thing_name, event.after) == ("boss", "alice", None)
    assert secret not in str(list(AuditEvent.objects.values()))


def test_a_users_groups_are_told(admins: Client, alice: User) -> None:
    group = Group.objects.create(name="team")
    url = reverse("admin:accounts_user_change", args=[alice.pk])
    fields = {"username": "alice", "is_active": "on", "groups": [group.pk]}
    dates = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    inlines = {"role_grants-TOTAL_FORMS": "0", "role_grants-INITIAL_FORMS": "0"}
    answer = admins.post(url, fields | dates | inlines)
    assert answer.status_code == 302, answer.context["errors"]
    assert AuditEvent.objects.filter(noun="user", verb="change")[0].after == {"groups": ["team"]}


def test_templates_that_the_admin_switches_off_are_told(admins: Client, template: RunTemplate) -> None:
    url = reverse("admin:templates_app_runtemplate_changelist")
    admins.post(url, {"action": "disable", "_selected_action": [str(template.pk)]})
    assert AuditEvent.objects.filter(verb="change")[0].after == {"is_enabled": False}


def test_every_page_of_the_admin_that_changes_something_tells_it() -> None:
    silent = [
        type(page).__name__
        for page in admin.site._registry.values()
        if not isinstance(page, AuditedAdmin | AuditEventAdmin) and not isinstance(page, ReadOnlyAdmin)
    ]
    assert silent == []


def test_names_that_are_too_long_are_cut(alice: User) -> None:
    group = Group(pk=1, name="x" * 1000)
    record_audit(actor=alice, verb=AuditVerb.CREATE, thing=group)
    assert len(AuditEvent.objects.get(noun="group").thing_name) == 200
