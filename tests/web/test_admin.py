"""The admin shows everything and changes only what may change."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from runs_app.models import PipelineRun
from templates_app.models import RunTemplate, Stack
from tests.factories import launch
from zenweb.accounts.models import ApiKey, User

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
    versions = {f"versions-{count}_FORMS": "0" for count in ("TOTAL", "INITIAL")}
    url = reverse("admin:templates_app_runtemplate_change", args=[template.pk])
    return url, {
        "name": template.name,
        "tags": "[]",
        "is_enabled": "on",
        "concurrency_policy": "queue",
        **versions,
        **fields,
    }


def test_a_stack_gets_no_name_that_no_address_can_hold(boss: Client) -> None:
    fields = {"name": "gpu/large", "orchestrator": "celery", "queue": "gpu"}
    answer = boss.post(reverse("admin:templates_app_stack_add"), fields)
    assert (answer.status_code, "no slash" in answer.content.decode()) == (200, True)
    assert not Stack.objects.filter(name="gpu/large").exists()


def test_the_admin_has_no_page_of_its_own_for_ones_password(boss: Client) -> None:
    assert boss.get("/admin/password_change/")["Location"] == reverse("password-change")
