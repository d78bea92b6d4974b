"""Every route and every page, tried by everybody: what a role does not let one do is refused, what it does is done."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.messages import ERROR, get_messages
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse

from runs_app.models import Artifact, ArtifactVersion, PipelineRun, StepOutput, StepRun
from runs_app.presets import create_preset
from runs_app.schedules import create_schedule
from templates_app.models import RunTemplate
from tests.accounts.conftest import ask, bearer
from tests.factories import launch
from tests.routes import Route, filled, routes
from zenweb.accounts.actions import Action, Scope
from zenweb.accounts.management.commands.permissions import PLACE, table
from zenweb.accounts.models import AuditEvent, Project, RoleGrant, User
from zenweb.accounts.services import create_api_key
from zenweb.enums import GRANTABLE, ExecutionStatus, Role

PUBLIC, ANYBODY, ADMINISTRATOR, ITS_OWN = "public", "anybody", "administrator", "its own"
"""Who may, where it is no matter of roles: also who is not signed in; who is; nobody but the account whose it is."""
AUTHOR_SOMEWHERE = "author somewhere"
"""Code belongs to no project before it is frozen in one."""

SEE, RUN, EDIT, AUTHOR = Action.SEE, Action.RUN, Action.EDIT, Action.AUTHOR
LEAST: dict[str, Action | str] = {
    "GET info": PUBLIC,
    "GET version": PUBLIC,
    "POST login": PUBLIC,
    "POST device_authorization": PUBLIC,
    "GET docs": PUBLIC,
    "GET openapi.json": PUBLIC,
    "GET openapi.yaml": PUBLIC,
    "GET current-user": ANYBODY,
    "GET current-user/api_keys": ANYBODY,
    "POST current-user/api_keys": ANYBODY,
    "GET current-user/api_keys/{}": ITS_OWN,
    "PUT current-user/api_keys/{}": ITS_OWN,
    "DELETE current-user/api_keys/{}": ITS_OWN,
    "PUT current-user/api_keys/{}/rotate": ITS_OWN,
    "GET api_token": ANYBODY,
    "GET service_accounts": ANYBODY,
    "POST service_accounts": ADMINISTRATOR,
    "GET service_accounts/{}": ADMINISTRATOR,
    "PUT service_accounts/{}": ADMINISTRATOR,
    "DELETE service_accounts/{}": ADMINISTRATOR,
    "GET service_accounts/{}/api_keys": ADMINISTRATOR,
    "POST service_accounts/{}/api_keys": ADMINISTRATOR,
    "GET service_accounts/{}/api_keys/{}": ADMINISTRATOR,
    "PUT service_accounts/{}/api_keys/{}": ADMINISTRATOR,
    "DELETE service_accounts/{}/api_keys/{}": ADMINISTRATOR,
    "PUT service_accounts/{}/api_keys/{}/rotate": ADMINISTRATOR,
    "GET audit_events": ANYBODY,
    "GET audit_events/export": ANYBODY,
    "GET audit_events/{}": Action.GRANT,
    "GET projects": ANYBODY,
    "POST projects": ADMINISTRATOR,
    "GET projects/{}": SEE,
    "PUT projects/{}": Action.MANAGE_PROJECT,
    "GET projects/{}/role_grants": Action.MANAGE_PROJECT,
    "POST projects/{}/role_grants": Action.MANAGE_PROJECT,
    "GET projects/{}/role_grants/{}": Action.MANAGE_PROJECT,
    "DELETE projects/{}/role_grants/{}": Action.MANAGE_PROJECT,
    "GET pipelines": ANYBODY,
    "POST pipelines": AUTHOR,
    "GET pipelines/{}": SEE,
    "PUT pipelines/{}": Action.EDIT_PIPELINE,
    "DELETE pipelines/{}": Action.EDIT_PIPELINE,
    "GET stacks": ANYBODY,
    "GET stacks/{}": ANYBODY,
    "GET code_archives/{}": SEE,
    "PUT code_archives/{}": AUTHOR_SOMEWHERE,
    "GET pipeline_deployments": ANYBODY,
    "POST pipeline_deployments": AUTHOR,
    "GET pipeline_deployments/{}": SEE,
    "POST pipeline_deployments/new/validate": AUTHOR,
    "POST pipeline_deployments/{}/runs": AUTHOR,
    "POST pipeline_deployments/{}/validate": AUTHOR,
    "GET pipeline_snapshots": ANYBODY,
    "GET pipeline_snapshots/{}": SEE,
    "POST pipeline_snapshots/{}/runs": AUTHOR,
    "POST pipeline_snapshots/{}/validate": AUTHOR,
    "GET pipeline_builds/{}": SEE,
    "GET run_templates": ANYBODY,
    "POST run_templates": AUTHOR,
    "GET run_templates/{}": SEE,
    "PUT run_templates/{}": EDIT,
    "DELETE run_templates/{}": Action.DELETE,
    "GET run_templates/{}/curation": SEE,
    "PUT run_templates/{}/curation": EDIT,
    "GET run_templates/{}/document": SEE,
    "PUT run_templates/{}/document": EDIT,
    "GET run_templates/{}/versions": SEE,
    "POST run_templates/{}/versions": EDIT,
    "GET run_templates/{}/comparison": SEE,
    "GET run_templates/{}/check": SEE,
    "GET run_templates/{}/versions/{}": SEE,
    "POST run_templates/{}/versions/{}/restore": EDIT,
    "GET run_templates/{}/role_grants": Action.GRANT,
    "POST run_templates/{}/role_grants": Action.GRANT,
    "GET run_templates/{}/role_grants/{}": Action.GRANT,
    "DELETE run_templates/{}/role_grants/{}": Action.GRANT,
    "POST run_templates/{}/runs": RUN,
    "POST run_templates/{}/runs/bulk": RUN,
    "POST run_templates/{}/validate": RUN,
    "GET run_templates/{}/usage": SEE,
    "POST run_templates/{}/choices": RUN,
    "GET run_templates/{}/presets": SEE,
    "POST run_templates/{}/presets": RUN,
    "GET run_templates/{}/presets/{}": SEE,
    "PUT run_templates/{}/presets/{}": Action.MANAGE_KEPT,
    "DELETE run_templates/{}/presets/{}": Action.MANAGE_KEPT,
    "GET schedules": ANYBODY,
    "POST schedules": RUN,
    "GET schedules/{}": SEE,
    "PUT schedules/{}": Action.MANAGE_KEPT,
    "DELETE schedules/{}": Action.MANAGE_KEPT,
    "GET runs": ANYBODY,
    "GET runs/{}": SEE,
    "PUT runs/{}": Action.MANAGE_RUNS,
    "DELETE runs/{}": Action.MANAGE_RUNS,
    "GET runs/{}/status": SEE,
    "GET runs/{}/dag": SEE,
    "GET runs/{}/pipeline-configuration": SEE,
    "POST runs/{}/refresh": SEE,
    "POST runs/{}/stop": Action.MANAGE_RUNS,
    "POST runs/{}/repair": RUN,
    "GET runs/{}/events": SEE,
    "GET runs/{}/logs": SEE,
    "GET runs/{}/steps": SEE,
    # Of a run of the local stack, its caller alone: nobody may here.
    "POST runs/{}/lease": ITS_OWN,
    "POST runs/{}/steps/{}/start": ITS_OWN,
    "POST runs/{}/steps/{}/progress": ITS_OWN,
    "POST runs/{}/steps/{}/end": ITS_OWN,
    "GET steps": ANYBODY,
    "GET steps/{}": SEE,
    "GET steps/{}/status": SEE,
    "GET steps/{}/logs": SEE,
    "POST run-metadata": Action.MANAGE_RUNS,
    "GET artifacts": ANYBODY,
    "GET artifacts/{}": SEE,
    "GET artifact_versions": ANYBODY,
    "GET artifact_versions/{}": SEE,
    "GET artifact_versions/{}/visualize": SEE,
    "GET artifact_versions/{}/content": SEE,
    "POST uploads": RUN,
}
FOR_ALL = {"service_accounts", "stacks", "current-user/api_keys"}
"""Lists that show something to everybody."""

PAGES: dict[str, Action | str] = {
    "home": ANYBODY,
    "run-template-list": ANYBODY,
    "run-template": SEE,
    "POST run-template": RUN,
    "run-template-form": EDIT,
    "POST run-template-form": EDIT,
    "run-template-form-export": SEE,
    "run-template-access": Action.GRANT,
    "POST run-template-access": Action.GRANT,
    "project-access": Action.MANAGE_PROJECT,
    "POST project-access": Action.MANAGE_PROJECT,
    "run-template-usage": SEE,
    "POST preset-delete": Action.MANAGE_KEPT,
    "pipeline-list": ANYBODY,
    "pipeline-run": ANYBODY,
    "run-list": ANYBODY,
    "run": SEE,
    "run-copy": Action.SEE_VALUES,
    "POST run-stop": Action.MANAGE_RUNS,
    "run-repair": Action.SEE_VALUES,
    "POST run-repair": RUN,
    "run-new-template": AUTHOR,
    "POST run-new-template": AUTHOR,
    "step-elements": SEE,
    "step-log": SEE,
    "artifact-preview": SEE,
    "artifact-file": SEE,
    "account": ANYBODY,
    "POST account": ANYBODY,
    "POST key-rotate": ITS_OWN,
    "POST key-revoke": ITS_OWN,
    "POST key-remove": ITS_OWN,
    "password-change": ANYBODY,
    "POST sessions-end": ANYBODY,
    "POST session-end": ANYBODY,
    "device-login": ANYBODY,
    "login": PUBLIC,
    "POST logout": PUBLIC,
    "health": PUBLIC,
    "ready": PUBLIC,
}
QUERIES = {"POST uploads": "?name=orders.csv"}
# What is refused to whoever asks, since there is nothing to do: it is past the question who may.
NOTHING_TO_DO = (
    "is not chosen from",
    "has no visualization",
    "is no file that",
    "cannot be had from here",
    "Delete the run",
)


@pytest.fixture
def run(template: RunTemplate, alice: User) -> PipelineRun:
    """A run that has ended, of a template with all that a template may have, all of it Alice's."""
    create_preset(actor=alice, template=template, name="mine", is_shared=True)
    create_schedule(actor=alice, template=template, name="nightly", cron="0 0 * * *")
    run = launch(template, alice)
    step = run.steps.get(name="trainer")
    artifact = Artifact.objects.create(project=run.project, name="model", version_count=1)
    version = ArtifactVersion.objects.create(
        project=run.project,
        artifact=artifact,
        version=1,
        uri="x",
        type="DataArtifact",
        materializer="m.M",
        data_type="int",
        producer_step=step,
    )
    StepOutput.objects.create(step=step, name="model", artifact_version=version)
    PipelineRun.objects.update(status=ExecutionStatus.FAILED)
    StepRun.objects.update(status=ExecutionStatus.FAILED)
    run.refresh_from_db()
    return run


@pytest.fixture
def carol(db: None) -> User:
    return User.objects.create_user(username="carol", password="carol has a long password")


def things(run: PipelineRun) -> dict[str, str]:
    """What stands in addresses, by the part of the address before it."""
    template = run.template
    assert template is not None
    grants = RoleGrant.objects
    dave = User.objects.create_user(username="dave", password="dave has a long password")
    version = ArtifactVersion.objects.get()
    event = AuditEvent.objects.filter(noun="run_template").first()
    assert event is not None
    return {
        "artifact_versions": str(version.pk),
        "artifacts": "model",
        "code_archives": run.deployment.code_archive.sha256,
        "pipeline_builds": str(run.deployment_id),
        "pipeline_snapshots": str(run.deployment_id),
        "audit_events": str(event.pk),
        "service_accounts": "machine",
        "template role_grants": str(grants.create(template=template, user=dave, role=Role.VIEWER).pk),
        "project role_grants": str(grants.create(project=run.project, user=dave, role=Role.VIEWER).pk),
    }


def give_in_project(user: User, run: PipelineRun, role: Role) -> None:
    RoleGrant.objects.create(project=run.project, user=user, role=role)


def give_on_template(user: User, run: PipelineRun, role: Role) -> None:
    """The template is restricted: what one is to its project does not count."""
    RunTemplate.objects.update(is_restricted=True)
    RoleGrant.objects.create(template=run.template, user=user, role=role)
    RoleGrant.objects.create(project=run.project, user=user, role=Role.VIEWER)


def give_by_group(user: User, run: PipelineRun, role: Role) -> None:
    group = Group.objects.create(name="crew")
    user.groups.add(group)
    RoleGrant.objects.create(project=run.project, group=group, role=role)


def give_nothing(user: User, run: PipelineRun, role: Role) -> None:
    """But in another project."""
    other = Project.objects.create(name="another", default_role=Role.OWNER)
    RoleGrant.objects.create(project=other, user=user, role=role)


SUBJECTS = [
    pytest.param(give_nothing, Role.NOBODY, id="of another project"),
    *(pytest.param(give_in_project, role, id=f"{role.word} of the project") for role in GRANTABLE),
    *(pytest.param(give_by_group, role, id=f"{role.word} by a group") for role in (Role.VIEWER, Role.EDITOR)),
    *(pytest.param(give_on_template, role, id=f"{role.word} of the template") for role in GRANTABLE),
]


def is_for(
    least: Action | str, role: Role, give: Callable[..., None], *, is_administrator: bool = False
) -> bool:
    if least == AUTHOR_SOMEWHERE:
        return give is give_nothing or is_for(AUTHOR, role, give)
    if isinstance(least, str):
        return least in {PUBLIC, ANYBODY} or (least == ADMINISTRATOR and is_administrator)
    if least.value.scope is Scope.PROJECT and give is give_on_template:
        role = Role.VIEWER
    return least.is_for(role)


def tried(client: Client, run: PipelineRun) -> Iterator[tuple[Route, int, str, Any]]:
    """What each route answers; what it did is undone."""
    known = things(run)
    for route in routes():
        kind = "template" if route.pattern.startswith("run_templates") else "project"
        path, body = filled(route, run, **known, role_grants=known[f"{kind} role_grants"])
        with transaction.atomic():
            answer = ask(client, route.method, f"/{path}{QUERIES.get(str(route), '')}", body)
            content = b"".join(answer.streaming_content) if answer.streaming else answer.content
            text = content.decode(errors="replace")
            transaction.set_rollback(True)
        yield route, answer.status_code, text, body


def judged(status: int, text: str, *, may: bool, is_visible: bool) -> bool:
    """Whether an answer is the one that is due to somebody who may or may not."""
    if may:
        is_refused = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
        return status < 500 and (not is_refused or any(words in text for words in NOTHING_TO_DO))
    return status in ({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND} if is_visible else {HTTPStatus.NOT_FOUND})


def test_the_documentation_has_the_table_of_the_code() -> None:
    told = PLACE.search((Path(settings.BASE_DIR) / "docs" / "permissions.md").read_text())
    assert told is not None
    assert told[2] == table()  # else: make docs


def test_every_route_has_its_place_in_the_table() -> None:
    assert {str(route) for route in routes()} == LEAST.keys()


@pytest.mark.parametrize(("give", "role"), SUBJECTS)
def test_routes(run: PipelineRun, carol: User, give: Callable[..., None], role: Role) -> None:
    Project.objects.update(default_role=Role.NOBODY)
    give(carol, run, role)
    client = bearer(create_api_key(user=carol, name="hers")[1])
    wrong = [
        f"{route}: {status} {text[:150]}"
        for route, status, text, body in tried(client, run)
        if not judged(
            status,
            text,
            may=is_for(LEAST[str(route)], role, give),
            is_visible=role >= Role.VIEWER or "{}" not in route.pattern,
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_routes_to_an_administrator(run: PipelineRun, bosses: Client) -> None:
    User.objects.create_user(username="machine", is_service_account=True)
    wrong = [
        f"{route}: {status} {text[:150]}"
        for route, status, text, body in tried(bosses, run)
        if LEAST[str(route)] != ITS_OWN
        and "service_accounts/{}/api_keys/{}" not in route.pattern
        and not judged(status, text, may=True, is_visible=True)
    ]
    assert not wrong, "\n".join(wrong)


def test_routes_to_nobody_who_is_known(run: PipelineRun) -> None:
    answers = {str(route): status for route, status, _, _ in tried(Client(), run)}
    assert {route for route, status in answers.items() if status != 401} == {
        route for route, least in LEAST.items() if least == PUBLIC and route != "POST login"
    } | {"POST login"} - {route for route, status in answers.items() if status == 401}


def test_lists_are_empty_to_who_is_nobody_there(run: PipelineRun, carol: User) -> None:
    Project.objects.update(default_role=Role.NOBODY)
    client = bearer(create_api_key(user=carol, name="hers")[1])
    for route, _, text, _ in tried(client, run):
        if route.method == "GET" and LEAST[str(route)] == ANYBODY and "items" in text:
            is_empty = '"items":[]' in text.replace(" ", "")
            assert is_empty == (route.pattern not in FOR_ALL - {"service_accounts"}), (route, text[:200])


# -- pages ------------------------------------------------------------------------------------------------------------


def addresses(run: PipelineRun) -> dict[str, str]:
    template = run.template
    assert template is not None
    step, version = run.steps.first(), ArtifactVersion.objects.get()
    assert step is not None
    key = create_api_key(user=template.user, name="another")[0] if template.user else None
    ids: dict[str, list[Any]] = {
        "run-template": [template.pk],
        "preset-delete": [template.pk, template.presets.get().pk],
        "project": [run.project_id],
        "run": [run.pk],
        "step": [step.pk],
        "artifact": [version.pk],
        "key": [key.pk if key else None],
        "session-end": ["0123456789abcdef"],
    }

    def arguments(name: str) -> list[Any]:
        if name in {"run-template-list", "run-list", "sessions-end"}:
            return []
        return next((ids[known] for known in sorted(ids, reverse=True) if name.startswith(known)), [])

    names = {entry.removeprefix("POST ") for entry in PAGES}
    return {name: reverse(name, args=arguments(name)) for name in names}


POSTED: dict[str, dict[str, str]] = {
    "account": {"name": "mine", "days": "30", "access": "read"},
    "run-template": {"do": "run", "submit_token": "0b5c7a1e-0000-4000-8000-000000000001"},
    "run-template-access": {"do": "restrict", "restricted": "yes"},
    "project-access": {"do": "default", "default_role": "10"},
    "run-new-template": {"name": "another"},
    "run-template-form": {"do": "save"},
}


def pages_tried(client: Client, run: PipelineRun) -> Iterator[tuple[str, int, str]]:
    known = addresses(run)
    for entry in PAGES:
        name = entry.removeprefix("POST ")
        with transaction.atomic():
            if entry.startswith("POST "):
                answer = client.post(known[name], POSTED.get(name, {}), follow=name != "logout")
            else:
                answer = client.get(known[name], follow=True)
            refusals = [str(each) for each in get_messages(answer.wsgi_request) if each.level == ERROR]
            refusals += [
                str(each) for each in (answer.context or {}).get("messages", ()) if each.level == ERROR
            ]
            transaction.set_rollback(True)
        if name == "run-template" and entry != name and answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
            refusals.append("refused")
        yield entry, answer.status_code, " ".join(refusals)


def test_every_page_has_its_place_in_the_table() -> None:
    named = {
        each.name
        for resolver in get_resolver().url_patterns
        for each in getattr(resolver, "url_patterns", [resolver])
        if isinstance(each, URLPattern)
        and each.name
        and not str(getattr(resolver, "pattern", "")).startswith("admin")
    }
    assert named - {"openapi", "api-docs"} == {entry.removeprefix("POST ") for entry in PAGES} | {"logout"}


@pytest.mark.parametrize(("give", "role"), SUBJECTS)
def test_pages(run: PipelineRun, carol: User, give: Callable[..., None], role: Role) -> None:
    Project.objects.update(default_role=Role.NOBODY)
    give(carol, run, role)
    client = Client()
    client.force_login(carol)
    wrong = []
    for entry, status, refusal in pages_tried(client, run):
        client.force_login(carol)
        is_done = status < 400 and not refusal
        nothing_there = entry in {"artifact-preview", "artifact-file"} and status == HTTPStatus.NOT_FOUND
        is_asked_for_more = entry == "POST run-repair" and status == HTTPStatus.UNPROCESSABLE_ENTITY
        may = is_for(PAGES[entry], role, give)
        if may != (is_done or is_asked_for_more) and not nothing_there:
            wrong.append(f"{entry}: {status} {refusal}")
    assert not wrong, "\n".join(wrong)


def test_pages_to_nobody_who_is_known(run: PipelineRun) -> None:
    client, known = Client(), addresses(run)
    for entry, least in PAGES.items():
        answer = (
            client.post(known[entry.removeprefix("POST ")]) if "POST" in entry else client.get(known[entry])
        )
        if least != PUBLIC:
            assert answer.status_code == HTTPStatus.FOUND, entry
            assert answer.url.startswith(reverse("login")), entry
