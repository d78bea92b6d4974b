"""The admin shows administrators everything, staff what their roles show them, and changes only what may change."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from runs_app.models import PipelineRun, StepRun
from runs_app.presets import create_preset
from runs_app.schedules import create_schedule
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from tests.factories import launch, make_template
from zenweb.accounts.models import ApiKey, AuditEvent, Project, RoleGrant, User
from zenweb.enums import Role

MODELS = sorted(
    (
        model
        for model in admin.site._registry
        if model.__module__.startswith(("zenweb", "templates_app", "runs_app"))
    ),
    key=lambda model: model.__name__,
)


@pytest.fixture
def boss(client: Client, stacks: object) -> Client:
    client.force_login(User.objects.get(username="admin"))
    return client


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_lists_and_pages_open_and_search(
    boss: Client, template: RunTemplate, alice: User, model: type
) -> None:
    launch(template, alice)
    names = (model._meta.app_label, model._meta.model_name)  # type: ignore[attr-defined]
    assert boss.get(reverse("admin:{}_{}_changelist".format(*names)), {"q": "train"}).status_code == 200
    for row in model._default_manager.all()[:1]:  # type: ignore[attr-defined]
        assert boss.get(reverse("admin:{}_{}_change".format(*names), args=[row.pk])).status_code == 200


def act(boss: Client, model: str, action: str, row: RunTemplate | PipelineRun) -> None:
    url = reverse(f"admin:{model}_changelist")
    answer = boss.post(url, {"action": action, "_selected_action": [str(row.pk)]})
    assert answer.status_code == 302


def test_templates_are_switched_off_and_on(boss: Client, template: RunTemplate) -> None:
    for action, expected in (("disable", False), ("enable", True)):
        act(boss, "templates_app_runtemplate", action, template)
        template.refresh_from_db()
        assert template.is_enabled is expected


def test_runs_are_stopped(boss: Client, template: RunTemplate, alice: User) -> None:
    run = launch(template, alice)
    act(boss, "runs_app_pipelinerun", "stop", run)
    run.refresh_from_db()
    assert run.status == "stopped"


def test_what_never_changes_cannot_be_changed(boss: Client, template: RunTemplate) -> None:
    url = reverse("admin:templates_app_pipelinedeployment_change", args=[template.deployment.pk])
    assert boss.post(url, {"client_version": "9"}).status_code == 403
    assert boss.get(reverse("admin:templates_app_pipelinedeployment_add")).status_code == 403


def key_in(answer: Any) -> str:
    """The text of the key that the page shows."""
    told = next(str(message) for message in answer.context["messages"] if "ZENKEY_" in str(message))
    return told.split()[-1]


def who(text: str) -> str | None:
    bearer = Client(headers={"Authorization": f"Bearer {text}"})
    return bearer.get("/api/v1/current-user").json().get("name")


def make_key(boss: Client, user: User, **fields: Any) -> Any:
    form = {"user": str(user.pk), "name": "ci", "access": "full", **fields}
    return boss.post(reverse("admin:accounts_apikey_add"), form, follow=True)


def test_a_key_is_shown_once_and_kept_as_a_hash(boss: Client, alice: User) -> None:
    text = key_in(make_key(boss, alice))
    assert who(text) == "alice"
    assert text not in str(ApiKey.objects.values_list().get(name="ci"))


def test_a_key_is_bound_to_templates(boss: Client, alice: User, template: RunTemplate) -> None:
    refused = make_key(boss, alice, templates=[str(template.pk)])
    assert "may run them or only see them" in refused.text
    key_in(make_key(boss, alice, templates=[str(template.pk)], access="read"))
    key = ApiKey.objects.get(name="ci")
    assert (key.is_bound, list(key.templates.all())) == (True, [template])


def test_what_the_service_refuses_is_told_in_the_form(boss: Client, alice: User) -> None:
    over = {"expires_at_0": "2001-01-01", "expires_at_1": "00:00:00"}
    assert "in the past" in make_key(boss, alice, **over).text
    assert not ApiKey.objects.filter(name="ci").exists()


def test_keys_are_replaced_and_revoked(boss: Client, alice: User) -> None:
    former = key_in(make_key(boss, alice))
    url, key = reverse("admin:accounts_apikey_changelist"), str(ApiKey.objects.get(name="ci").pk)
    text = key_in(boss.post(url, {"action": "replace", "_selected_action": [key]}, follow=True))
    assert (who(former), who(text)) == (None, "alice")
    boss.post(url, {"action": "revoke", "_selected_action": [key]})
    assert who(text) is None


def test_whoever_may_only_look_cannot_act(client: Client, template: RunTemplate, bob: User) -> None:
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(bob)
    client.post(
        reverse("admin:templates_app_runtemplate_changelist"),
        {"action": "disable", "_selected_action": [str(template.pk)]},
    )
    template.refresh_from_db()
    assert template.is_enabled


@pytest.mark.parametrize(
    ("name", "sentence"), [("taken", "already exists"), ("team/daily", "no slash"), ("  ", "required")]
)
def test_a_template_gets_no_name_that_the_service_refuses(
    boss: Client, template: RunTemplate, name: str, sentence: str
) -> None:
    RunTemplate.objects.create(project=template.project, name="taken", latest_version=template.latest_version)
    answer = boss.post(*change(template, name=name))
    assert (answer.status_code, sentence in answer.content.decode()) == (200, True)
    template.refresh_from_db()
    assert template.name == "daily-retraining"


def test_a_template_is_renamed(boss: Client, template: RunTemplate) -> None:
    assert boss.post(*change(template, name="weekly")).status_code == 302
    template.refresh_from_db()
    assert template.name == "weekly"


def change(template: RunTemplate, **fields: str) -> tuple[str, dict[str, str]]:
    """Where and how the admin's form is sent."""
    inlines = {
        f"{rows}-{count}_FORMS": "0" for rows in ("versions", "role_grants") for count in ("TOTAL", "INITIAL")
    }
    url = reverse("admin:templates_app_runtemplate_change", args=[template.pk])
    return url, {
        "name": template.name,
        "tags": "[]",
        "is_enabled": "on",
        "concurrency_policy": "queue",
        **inlines,
        **fields,
    }


def test_a_stack_gets_no_name_that_no_address_can_hold(boss: Client) -> None:
    fields = {"name": "gpu/large", "orchestrator": "celery", "queue": "gpu"}
    answer = boss.post(reverse("admin:templates_app_stack_add"), fields)
    assert (answer.status_code, "no slash" in answer.content.decode()) == (200, True)
    assert not Stack.objects.filter(name="gpu/large").exists()


def test_the_admin_has_no_page_of_its_own_for_ones_password(boss: Client) -> None:
    assert boss.get("/admin/password_change/")["Location"] == reverse("password-change")


# -- roles ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def staff(client: Client, template: RunTemplate, bob: User) -> Client:
    """Bob, who may do in the admin all that roles let him, and is nobody in any project."""
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.all())
    Project.objects.update(default_role=Role.NOBODY)
    client.force_login(bob)
    return client


def give(user: User, template: RunTemplate, role: Role) -> RoleGrant:
    return RoleGrant.objects.update_or_create(user=user, template=template, defaults={"role": role})[0]


def listed(client: Client, model: str) -> list[str]:
    answer = client.get(reverse(f"admin:{model}_changelist"))
    return sorted(str(row) for row in answer.context["cl"].result_list)


SEEN_BY_ROLE = (
    *("templates_app_runtemplate", "templates_app_pipeline", "templates_app_pipelinedeployment"),
    *("templates_app_codearchive", "runs_app_pipelinerun", "runs_app_steprun", "runs_app_schedule"),
    "accounts_project",
)


@pytest.mark.parametrize("model", SEEN_BY_ROLE)
def test_staff_see_what_their_role_shows_them(
    staff: Client, template: RunTemplate, alice: User, bob: User, model: str
) -> None:
    launch(template, alice)
    create_schedule(actor=alice, template=template, name="nightly", cron="0 0 * * *")
    assert listed(staff, model) == []
    give(bob, template, Role.VIEWER)
    assert listed(staff, model)


def test_filters_name_nothing_that_staff_do_not_see(
    staff: Client, template: RunTemplate, deployment: PipelineDeployment, alice: User, bob: User
) -> None:
    give(bob, make_template(deployment, alice, "shown"), Role.VIEWER)
    page = staff.get(reverse("admin:runs_app_pipelinerun_changelist")).text
    assert ("shown" in page, template.name in page) == (True, False)


def test_nobody_sees_anothers_private_presets_in_the_admin(
    boss: Client, template: RunTemplate, alice: User
) -> None:
    create_preset(actor=alice, template=template, name="for all", is_shared=True)
    create_preset(actor=alice, template=template, name="hers")
    assert listed(boss, "templates_app_preset") == ["for all"]


@pytest.mark.parametrize(("role", "is_shown"), [(Role.VIEWER, False), (Role.RUNNER, True)])
def test_values_are_shown_in_the_admin_from_runner_on(
    staff: Client, template: RunTemplate, alice: User, bob: User, role: Role, is_shown: bool
) -> None:
    values = {"steps": {"trainer": {"parameters": {"learning_rate": 0.4711}}}}
    run = launch(template, alice, values)
    schedule = create_schedule(
        actor=alice, template=template, name="nightly", cron="0 0 * * *", configuration=values
    )
    give(bob, template, role)
    step = run.steps.get(name="trainer")
    for model, row in (("pipelinerun", run), ("steprun", step), ("schedule", schedule)):
        page = staff.get(reverse(f"admin:runs_app_{model}_change", args=[row.pk]))
        assert (page.status_code, "0.4711" in page.text) == (200, is_shown), model


def test_of_a_run_with_very_many_steps_the_admin_shows_the_first(
    boss: Client, template: RunTemplate, alice: User
) -> None:
    run = launch(template, alice)
    step = run.steps.earliest("index")
    facts = {field.attname: getattr(step, field.attname) for field in step._meta.concrete_fields}
    StepRun.objects.bulk_create(
        StepRun(**{**facts, "id": uuid4(), "name": f"copy {number}", "index": 10 + number})
        for number in range(200)
    )
    page = boss.get(reverse("admin:runs_app_pipelinerun_change", args=[run.pk])).text
    assert ("copy 90" in page, "copy 150" in page) == (True, False)


def test_staff_change_what_their_role_lets_them(
    staff: Client, template: RunTemplate, alice: User, bob: User
) -> None:
    run = launch(template, alice)
    give(bob, template, Role.RUNNER)
    act(staff, "runs_app_pipelinerun", "stop", run)
    act(staff, "templates_app_runtemplate", "disable", template)
    assert staff.post(*change(template, name="his")).status_code == 403
    template.refresh_from_db()
    assert (template.name, template.is_enabled) == ("daily-retraining", True)
    assert not PipelineRun.objects.get().stop_requested_at
    give(bob, template, Role.EDITOR)
    assert staff.post(*change(template, name="his", is_restricted="on")).status_code == 302
    template.refresh_from_db()
    assert (template.name, template.is_restricted) == ("his", False)  # that is its owner's


def test_an_owner_restricts_a_template(staff: Client, template: RunTemplate, bob: User) -> None:
    give(bob, template, Role.OWNER)
    given = RoleGrant.objects.get(template=template)
    rows = inline(template, ({"user": str(bob.pk), "role": "40"}, given))
    assert staff.post(*change(template, is_restricted="on", **rows)).status_code == 302
    template.refresh_from_db()
    assert template.is_restricted


def test_staff_who_do_not_own_a_template_are_not_shown_who_may_what(
    staff: Client, template: RunTemplate, bob: User
) -> None:
    give(bob, template, Role.EDITOR)
    url, _ = change(template)
    assert "role_grants" not in staff.get(url).text
    give(bob, template, Role.OWNER)
    assert "role_grants" in staff.get(url).text


def test_a_restricted_template_that_is_deleted_leaves_its_runs_hidden(
    boss: Client, template: RunTemplate, alice: User, bob: User
) -> None:
    create_preset(actor=alice, template=template, name="hers")
    launch(template, alice)
    RunTemplate.objects.update(is_restricted=True)
    url = reverse("admin:templates_app_runtemplate_delete", args=[template.pk])
    assert "hers" not in boss.get(url).text
    assert boss.post(url, {"post": "yes"}).status_code == 302
    assert not RunTemplate.objects.exists()
    assert not PipelineRun.objects.visible_to(bob).exists()


def inline(thing: RunTemplate | Project, *rows: tuple[dict[str, str], RoleGrant | None]) -> dict[str, str]:
    """The table of roles as it is sent, with rows that are there and new ones."""
    name = "template" if isinstance(thing, RunTemplate) else "project"
    known = sum(grant is not None for _, grant in rows)
    sent = {"role_grants-TOTAL_FORMS": str(len(rows)), "role_grants-INITIAL_FORMS": str(known)}
    for number, (row, grant) in enumerate(rows):
        fields = {"id": str(grant.pk) if grant else "", name: str(thing.pk), **row}
        sent |= {f"role_grants-{number}-{field}": value for field, value in fields.items()}
    return sent


def test_roles_are_given_changed_and_taken_away(boss: Client, template: RunTemplate, bob: User) -> None:
    group = Group.objects.create(name="crew")
    new = [({"user": str(bob.pk), "role": "20"}, None), ({"group": str(group.pk), "role": "30"}, None)]
    assert boss.post(*change(template, **inline(template, *new))).status_code == 302
    bobs, crews = (RoleGrant.objects.get(user=bob), RoleGrant.objects.get(group=group, template=template))
    rows = [
        ({"user": str(bob.pk), "role": "40"}, bobs),
        ({"group": str(group.pk), "role": "30", "DELETE": "on"}, crews),
    ]
    assert boss.post(*change(template, **inline(template, *rows))).status_code == 302
    assert [str(grant) for grant in template.role_grants.all()] == ["bob: owner"]
    told = AuditEvent.objects.filter(noun="role_grant", template_id=template.pk).order_by("created")
    assert [event.verb for event in told] == ["create", "create", "delete", "change"]


def test_a_role_is_given_to_one_user_or_one_group(boss: Client, template: RunTemplate) -> None:
    answer = boss.post(*change(template, **inline(template, ({"role": "20"}, None))))
    assert "Say which user, or which group." in answer.text
    assert not template.role_grants.exists()


def test_a_project_has_its_roles_beside_it(boss: Client, bob: User) -> None:
    project = Project.objects.get()
    url = reverse("admin:accounts_project_change", args=[project.pk])
    rows = inline(project, ({"user": str(bob.pk), "role": "30"}, None))
    assert (
        boss.post(
            url, {"name": "renamed", "display_name": "Default", "default_role": "0", **rows}
        ).status_code
        == 302
    )
    project.refresh_from_db()
    assert (project.name, project.default_role) == ("default", Role.NOBODY)
    assert [str(grant) for grant in project.role_grants.all()] == ["bob: editor"]
    assert AuditEvent.objects.get(noun="project", verb="change").after["default_role_word"] == "nobody"


def test_a_new_project_gets_a_name_that_the_service_takes(boss: Client) -> None:
    url, fields = reverse("admin:accounts_project_add"), {"default_role": "0", "display_name": "Vision"}
    none = {"role_grants-TOTAL_FORMS": "0", "role_grants-INITIAL_FORMS": "0"}
    answer = boss.post(url, {"name": "a/b", **fields, **none})
    assert "called by 1 to 200 letters" in answer.text
    assert boss.post(url, {"name": "vision", **fields, **none}).status_code == 302
    assert Project.objects.get(name="vision").default_role == Role.NOBODY


def test_staff_make_nobody_more_than_they_are(staff: Client, bob: User) -> None:
    group = Group.objects.create(name="crew")
    url = reverse("admin:accounts_user_change", args=[bob.pk])
    inlines = {"role_grants-TOTAL_FORMS": "0", "role_grants-INITIAL_FORMS": "0"}
    fields = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "is_active": "on", **inlines}
    power = {"is_superuser": "on", "groups": [str(group.pk)]}
    assert staff.post(url, {"username": "robert", **fields, **power}).status_code == 302
    bob.refresh_from_db()
    assert (bob.username, bob.is_superuser, bob.groups.count()) == ("robert", False, 0)


def test_staff_give_their_own_groups_no_permission(staff: Client, bob: User) -> None:
    group = Group.objects.create(name="crew")
    bob.groups.add(group)
    none = {"role_grants-TOTAL_FORMS": "0", "role_grants-INITIAL_FORMS": "0"}
    power = {"permissions": [str(Permission.objects.get(codename="change_user").pk)]}
    url = reverse("admin:auth_group_change", args=[group.pk])
    assert staff.post(url, {"name": "team", **power, **none}).status_code == 302
    assert staff.post(reverse("admin:auth_group_add"), {"name": "new", **power, **none}).status_code == 302
    assert not Permission.objects.filter(group__isnull=False).exists()
    assert set(Group.objects.values_list("name", flat=True)) >= {"team", "new"}


def test_staff_neither_lock_nor_enter_the_accounts_of_others(staff: Client, alice: User, bob: User) -> None:
    url = reverse("admin:accounts_user_change", args=[alice.pk])
    inlines = {"role_grants-TOTAL_FORMS": "0", "role_grants-INITIAL_FORMS": "0"}
    fields = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "first_name": "Al", **inlines}
    power = {"email": "bob@example.org", "is_service_account": "on"}
    assert "/password/" not in staff.get(url).text
    assert staff.post(url, {"username": "alice", **fields, **power}).status_code == 302
    before, alice = alice, User.objects.get(pk=alice.pk)
    assert (alice.first_name, alice.is_active, alice.is_service_account) == ("Al", True, False)
    assert (alice.email, alice.password) == (before.email, before.password)
    for user in (alice, bob, User.objects.create_superuser(username="boss")):
        new = {"password1": "a long one, long", "password2": "a long one, long", "usable_password": "true"}
        answer = staff.post(reverse("admin:auth_user_password_change", args=[user.pk]), new)
        assert (answer.status_code, User.objects.get(pk=user.pk).password) == (403, user.password)
