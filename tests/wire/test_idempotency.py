"""One Idempotency-Key, one effect, on every route that writes: what is sent again is answered, and not done again."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections, transaction
from django.db.models import BinaryField, Model
from django.test import Client
from django.utils import timezone

from runs_app import applying
from runs_app.models import PipelineRun, Schedule
from runs_app.presets import create_preset
from runs_app.schedules import create_schedule
from runs_app.services import Trigger, launch_run
from templates_app import services as template_services
from templates_app.models import CodeArchive, Pipeline, PipelineDeployment, Preset, RunTemplate, Stack
from tests.accounts.conftest import bearer
from tests.accounts.test_key_scopes import UNSAFE
from tests.factories import freeze, launch
from tests.routes import A_DEPLOYMENT, routes
from zenweb.accounts.keyed_requests import forget_old_requests
from zenweb.accounts.models import ApiKey, AuditEvent, KeyedRequest, Project, RoleGrant, User
from zenweb.accounts.services import create_api_key, create_service_account
from zenweb.enums import Role, TriggerChannel

Things = dict[str, Any]
CROWD = 20
# By what `routes` call it: an address with things that there are, and a body that does something.
ONCE: dict[str, tuple[str, Any]] = {
    "POST projects": ("projects", {"name": "new"}),
    "PUT projects/{}": ("projects/default", {"display_name": "Ours"}),
    "POST projects/{}/role_grants": ("projects/default/role_grants", {"user": "bob", "role": "viewer"}),
    "DELETE projects/{}/role_grants/{}": ("projects/default/role_grants/{project_grant}", None),
    "POST service_accounts": ("service_accounts", {"name": "new"}),
    "PUT service_accounts/{}": ("service_accounts/machine", {"name": "renamed"}),
    "DELETE service_accounts/{}": ("service_accounts/machine", None),
    "PUT service_accounts/{}/api_keys/{}": ("service_accounts/machine/api_keys/key", {"name": "renamed"}),
    "DELETE service_accounts/{}/api_keys/{}": ("service_accounts/machine/api_keys/key", None),
    "PUT current-user/api_keys/{}": ("current-user/api_keys/mine", {"name": "renamed"}),
    "DELETE current-user/api_keys/{}": ("current-user/api_keys/mine", None),
    "POST pipelines": ("pipelines", {"name": "new"}),
    "PUT pipelines/{}": ("pipelines/training_pipeline", {"description": "Nightly."}),
    "DELETE pipelines/{}": ("pipelines/unused", None),
    "PUT code_archives/{}": ("code_archives/{code}", ...),
    "POST pipeline_deployments": ("pipeline_deployments", ...),
    "POST run_templates": ("run_templates", {"name": "new", "source_deployment_id": "{deployment}"}),
    "PUT run_templates/{}": ("run_templates/daily-retraining", {"name": "renamed"}),
    "DELETE run_templates/{}": ("run_templates/daily-retraining", None),
    "PUT run_templates/{}/curation": (
        "run_templates/daily-retraining/curation",
        {"version": 1, "parameters": {"trainer.learning_rate": {"label": "Rate"}}},
    ),
    "PUT run_templates/{}/document": (
        "run_templates/daily-retraining/document?if_version=1",
        {"format": 1, "name": "daily-retraining", "tags": ["new"]},
    ),
    "POST run_templates/{}/versions": (
        "run_templates/daily-retraining/versions",
        {"source_deployment_id": "{other_deployment}"},
    ),
    "POST run_templates/{}/versions/{}/restore": ("run_templates/curated/versions/1/restore", None),
    "POST run_templates/{}/presets": ("run_templates/daily-retraining/presets", {"name": "new"}),
    "PUT run_templates/{}/presets/{}": ("run_templates/daily-retraining/presets/mine", {"name": "renamed"}),
    "DELETE run_templates/{}/presets/{}": ("run_templates/daily-retraining/presets/mine", None),
    "POST run_templates/{}/role_grants": (
        "run_templates/daily-retraining/role_grants",
        {"user": "bob", "role": "viewer"},
    ),
    "DELETE run_templates/{}/role_grants/{}": ("run_templates/daily-retraining/role_grants/{grant}", None),
    "POST schedules": (
        "schedules",
        {"name": "new", "template": "daily-retraining", "cron_expression": "0 0 * * *"},
    ),
    "PUT schedules/{}": ("schedules/nightly", {"name": "renamed", "active": False}),
    "DELETE schedules/{}": ("schedules/nightly", None),
    "PUT runs/{}": ("runs/{run}", {"add_tags": ["best"]}),
    "DELETE runs/{}": ("runs/{ended}", None),
    "POST runs/{}/stop": ("runs/{run}/stop", None),
    "POST runs/{}/lease": ("runs/{local}/lease", None),
    "POST runs/{}/steps/{}/start": ("runs/{local}/steps/trainer/start", None),
    "POST runs/{}/steps/{}/progress": (
        "runs/{started}/steps/trainer/progress",
        {"attempt": 1, "log": "epoch 1\n"},
    ),
    "POST runs/{}/steps/{}/end": ("runs/{started}/steps/trainer/end", {"attempt": 1, "status": "failed"}),
    "POST run-metadata": (
        "run-metadata",
        {"resources": [{"id": "{run}", "type": "pipeline_run"}], "values": {"accuracy": 0.9}},
    ),
}
# Their answer tells a secret, which nobody can tell again.
TOLD_ONCE: dict[str, tuple[str, Any]] = {
    "POST service_accounts/{}/api_keys": ("service_accounts/machine/api_keys", {"name": "new"}),
    "PUT service_accounts/{}/api_keys/{}/rotate": ("service_accounts/machine/api_keys/key/rotate", {}),
    "POST current-user/api_keys": ("current-user/api_keys", {"name": "new"}),
    "PUT current-user/api_keys/{}/rotate": ("current-user/api_keys/mine/rotate", {}),
}
# A run keeps the key that it was started with; tests/runs/test_runs_api.py and its neighbours say more.
STARTING_RUNS: dict[str, tuple[str, Any]] = {
    "POST run_templates/{}/runs": ("run_templates/daily-retraining/runs", {}),
    "POST run_templates/{}/runs/bulk": ("run_templates/daily-retraining/runs/bulk", {"runs": [{}]}),
    "POST pipeline_deployments/{}/runs": ("pipeline_deployments/{deployment}/runs", {}),
    "POST pipeline_snapshots/{}/runs": ("pipeline_snapshots/daily-retraining/runs", {}),
    "POST runs/{}/repair": ("runs/{failed}/repair", {}),
}
# They sign in, or change nothing; a file is not read twice to compare it.
WITHOUT = {
    "POST login",
    "POST device_authorization",
    "POST uploads",
    "POST runs/{}/refresh",
    "POST run_templates/{}/choices",
    "POST run_templates/{}/validate",
    "POST pipeline_deployments/{}/validate",
    "POST pipeline_deployments/new/validate",
    "POST pipeline_snapshots/{}/validate",
}


SLOW = [
    (applying, "compare_versions"),
    (template_services, "check_archive"),
    (template_services, "check_schema"),
]


def send(client: Client, method: str, address: str, body: Any, key: str = "k") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    content = body if isinstance(body, bytes) else json.dumps(body) if body is not None else ""
    return client.generic(
        method, f"/api/v1/{address}", content, content_type="application/json", headers=headers
    )


def everything() -> dict[str, list[str]]:
    """Every row of ours as it stands."""
    ours = ("accounts", "templates_app", "runs_app")
    return {
        model.__name__: sorted(map(str, model._default_manager.values_list(*_fields_of(model))))
        for app in ours
        for model in apps.get_app_config(app).get_models()
    }


def _fields_of(model: type[Model]) -> list[str]:
    return [field.name for field in model._meta.concrete_fields if not isinstance(field, BinaryField)]


@contextmanager
def taken_back() -> Iterator[None]:
    point = transaction.savepoint()
    yield
    transaction.savepoint_rollback(point)


@pytest.fixture
def root(alice: User) -> Client:
    """Alice as an administrator, whom every route answers."""
    User.objects.filter(pk=alice.pk).update(is_superuser=True, is_staff=True)
    alice.refresh_from_db()
    client = bearer(create_api_key(user=alice, name="root")[1])
    client.get("/api/v1/current-user")  # when the key was used first is noted
    return client


@pytest.fixture
def things(root: Client, ended: PipelineRun, template: RunTemplate, alice: User, bob: User) -> Things:
    """One of each."""
    account = create_service_account(actor=alice, name="machine")
    create_api_key(user=account, name="key")
    create_api_key(user=alice, name="mine")
    create_preset(actor=alice, template=template, name="mine")
    create_schedule(actor=alice, template=template, name="nightly", cron="0 0 * * *")
    Pipeline.objects.create(project=template.project, user=alice, name="unused")
    run, failed = launch(template, alice), launch(template, alice)
    PipelineRun.objects.filter(pk=failed.pk).update(status="failed")
    failed.steps.update(status="failed")
    on_this_machine = freeze("training.training_pipeline", alice, Stack.objects.get(name="default"))
    trigger = Trigger(alice, TriggerChannel.SDK)
    local, started = (
        launch_run(deployment=on_this_machine, configuration=None, trigger=trigger).run for _ in range(2)
    )
    send(root, "POST", f"runs/{started.pk}/steps/trainer/start", None, key="")
    send(
        root, "POST", "run_templates", {"name": "curated", "source_deployment_id": str(run.deployment_id)}, ""
    )
    send(root, "PUT", "run_templates/curated/curation", ONCE["PUT run_templates/{}/curation"][1], key="")
    code = run.deployment.code_archive
    elsewhere = Stack.objects.create(name="elsewhere", orchestrator="celery")
    return {
        "account": account.pk,
        "grant": RoleGrant.objects.create(template=template, user=account, role=Role.VIEWER).pk,
        "project_grant": RoleGrant.objects.create(
            project=template.project, user=account, role=Role.VIEWER
        ).pk,
        "deployment": run.deployment_id,
        "other_deployment": freeze("training.training_pipeline", alice, elsewhere).pk,
        "code": code.sha256,
        "code_archives": bytes(code.content),
        "pipeline_deployments": {**A_DEPLOYMENT, **_frozen(run), "code_archive": code.sha256},
        "run": run.pk,
        "ended": ended.pk,
        "failed": failed.pk,
        "local": local.pk,
        "started": started.pk,
    }


def _frozen(run: PipelineRun) -> dict[str, Any]:
    deployment = run.deployment
    return {
        "pipeline": "another",
        "spec": {**deployment.spec, "name": "another"},
        "config_schema": deployment.config_schema,
        "config_template": deployment.config_template,
    }


def filled(asked: tuple[str, Any], things: Things) -> tuple[str, Any]:
    address, body = asked
    names = {name: str(thing) for name, thing in things.items()}
    if body is ...:
        return address.format(**names), things[address.partition("/")[0]]
    text = json.dumps(body)
    for name, thing in names.items():
        text = text.replace(f"{{{name}}}", thing)
    return address.format(**names), json.loads(text)


def test_the_tables_name_every_route_that_writes() -> None:
    writing = {str(route) for route in routes() if route.method in UNSAFE}
    told = [*ONCE, *TOLD_ONCE, *STARTING_RUNS, *WITHOUT]
    assert sorted(told) == sorted(writing)


def test_what_is_sent_again_is_answered_and_not_done_again(root: Client, things: Things) -> None:
    for route, asked in ONCE.items():
        method, (address, body) = route.split()[0], filled(asked, things)
        with taken_back():
            first = send(root, method, address, body)
            done = everything()
            second = send(root, method, address, body)
            assert (first.status_code, first.headers.get("Idempotent-Replayed")) == (200, None), (
                route,
                first.content,
            )
            assert (second.status_code, second.headers.get("Idempotent-Replayed")) == (200, "true"), route
            assert {name for name, rows in everything().items() if rows != done[name]} == set(), route
            assert told(second) == told(first), route


def told(answer: Any) -> Any:
    """Of a document that is applied, what it was before is told only once."""
    content = answer.json()
    if isinstance(content, dict) and "outcome" in content:
        return content | {"changes": [], "comparison": None}
    return content


def test_nothing_slow_is_done_while_others_wait(
    root: Client, things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compared and checked writes nothing, and has its place outside of the key's transaction."""
    body = document_with(send(root, "GET", "run_templates/daily-retraining/document", None).json(), 0.5)
    depth = len(connection.savepoint_ids)
    looked: dict[str, int] = {}

    def noted(name: str, function: Any) -> Any:
        def look(*given: Any, **named: Any) -> Any:
            looked[name] = len(connection.savepoint_ids)
            return function(*given, **named)

        return look

    for module, name in SLOW:
        monkeypatch.setattr(module, name, noted(name, getattr(module, name)))
    for method, asked in (
        ("PUT", ("run_templates/daily-retraining/document", body)),
        ("PUT", ONCE["PUT code_archives/{}"]),
        ("POST", ONCE["POST pipeline_deployments"]),
    ):
        address, content = filled(asked, things)
        looked.pop("check_schema", None)  # of a document it is part of what is done
        assert send(root, method, address, content).status_code == 200, address
    assert looked == dict.fromkeys((name for _, name in SLOW), depth)


def document_with(document: dict[str, Any], rate: float) -> dict[str, Any]:
    """One that asks for a new version, because of another label."""
    curation = {"version": 1, "parameters": {"trainer.learning_rate": {"label": f"Rate {rate}"}}}
    return {**document, "curation": curation}


def test_a_secret_is_told_once_and_the_answer_says_what_to_do(root: Client, things: Things) -> None:
    for route, asked in TOLD_ONCE.items():
        method, (address, body) = route.split()[0], filled(asked, things)
        with taken_back():
            text = send(root, method, address, body).json()["body"]["key"]
            done = everything()
            again = send(root, method, address, body)
            assert (again.status_code, everything() == done) == (409, True), route
            assert "rotate" in again.json()["detail"][1]
            assert text not in again.text
            works = bearer(text).get("/api/v1/current-user")
            assert works.status_code == 200


def test_what_starts_runs_keeps_its_keys_with_them(root: Client, things: Things) -> None:
    for route, asked in STARTING_RUNS.items():
        method, (address, body) = route.split()[0], filled(asked, things)
        with taken_back():
            first = send(root, method, address, body)
            assert first.status_code == 200, (route, first.content)
            done = everything()
            second = send(root, method, address, body)
            assert (second.status_code, everything() == done) == (200, True), route
            replays = [item["is_replay"] for item in second.json().get("items", [])]
            assert second.headers.get("Idempotent-Replayed") == "true" or replays == [True]


def test_what_reads_and_signs_in_keeps_no_key(root: Client, things: Things, alices_key: str) -> None:
    send(root, "POST", "login", {"password": alices_key})
    send(root, "POST", f"runs/{things['run']}/refresh", None)
    assert send(root, "POST", "run_templates/daily-retraining/validate", {}).status_code == 200
    assert not KeyedRequest.objects.exists()


@pytest.mark.parametrize(
    ("address", "body"),
    [("pipelines", {"name": "b"}), ("pipelines?project=default", {"name": "a"}), ("pipelines", None)],
)
def test_a_key_stands_for_one_request(rest: Client, stacks: Any, address: str, body: Any) -> None:
    assert send(rest, "POST", "pipelines", {"name": "a"}).status_code == 200
    again = send(rest, "POST", address, body)
    assert (again.status_code, "another body" in again.text) == (422, True)
    assert Pipeline.objects.count() == 1


def test_the_order_of_a_bodys_keys_says_nothing(rest: Client, stacks: Any) -> None:
    send(rest, "POST", "pipelines", {"name": "a", "description": "A."})
    again = send(rest, "POST", "pipelines", {"description": "A.", "name": "a"})
    assert again.headers["Idempotent-Replayed"] == "true"


def test_what_was_refused_leaves_its_key_free(rest: Client, stacks: Any) -> None:
    assert send(rest, "POST", "pipelines", {"name": ""}).status_code == 422
    assert send(rest, "DELETE", "pipelines/a", None).status_code == 404
    assert send(rest, "POST", "pipelines", b"{").status_code == 400
    assert not KeyedRequest.objects.exists()
    made = send(rest, "POST", "pipelines", {"name": "a"})
    assert (made.status_code, "Idempotent-Replayed" in made.headers) == (200, False)


def test_another_caller_and_another_route_have_keys_of_their_own(
    rest: Client, bosses: Client, stacks: Any
) -> None:
    assert send(rest, "POST", "pipelines", {"name": "a"}).status_code == 200
    assert send(bosses, "POST", "pipelines", {"name": "a"}).status_code == 409
    assert send(rest, "DELETE", "pipelines/a", None).status_code == 200
    assert not Pipeline.objects.exists()


@pytest.fixture
def bosses(db: None) -> Client:
    boss = User.objects.create_superuser(username="boss", password="boss has a long password")
    return bearer(create_api_key(user=boss, name="tests")[1])


def test_what_was_made_and_is_gone_is_not_made_again(rest: Client, stacks: Any) -> None:
    send(rest, "POST", "pipelines", {"name": "a"})
    send(rest, "DELETE", "pipelines/a", None)
    again = send(rest, "POST", "pipelines", {"name": "a"})
    assert (again.status_code, "not there any more" in again.text) == (404, True)


@pytest.mark.parametrize("route", ["POST runs/{}/lease", "POST runs/{}/steps/{}/progress"])
@pytest.mark.parametrize("change", [{"status": "failed"}, {"stop_requested_at": timezone.now()}])
def test_a_run_that_is_over_does_not_go_on_because_it_did_before(
    root: Client, things: Things, route: str, change: dict[str, Any]
) -> None:
    address, body = filled(ONCE[route], things)
    assert send(root, "POST", address, body).json() == {"goes_on": True}
    PipelineRun.objects.filter(pk=address.split("/")[1]).update(**change)
    again = send(root, "POST", address, body)
    assert (again.headers["Idempotent-Replayed"], again.json()) == ("true", {"goes_on": False})


def test_who_may_not_see_it_any_more_is_not_told_again(
    root: Client, things: Things, alice: User, bob: User
) -> None:
    for route, asked in ONCE.items():
        method, (address, body) = route.split()[0], filled(asked, things)
        with taken_back():
            assert send(root, method, address, body).status_code == 200, route
            take_everything_away(alice, bob)
            again = send(root, method, address, body)
            if method == "DELETE":  # which tells nothing
                assert (again.status_code, again.json()) == (200, None), route
            else:
                assert (again.status_code, "not for you to see" in again.text) == (404, True), route


def take_everything_away(owner: User, other: User) -> None:
    """The owner has no role any more, and nothing is theirs but the key in use."""
    User.objects.filter(pk=owner.pk).update(is_superuser=False)
    RoleGrant.objects.filter(user=owner).delete()
    Project.objects.update(default_role=Role.NOBODY)
    owner.api_keys.exclude(name="root").delete()
    for archive in CodeArchive.objects.all():
        archive.uploaders.clear()
    for model in (RunTemplate, PipelineRun, Pipeline, PipelineDeployment):
        model.objects.update(user=other)
    RunTemplate.objects.update(is_restricted=True)


@pytest.mark.parametrize(
    ("route", "model"),
    [
        ("POST service_accounts", User),
        ("PUT service_accounts/{}/api_keys/{}", ApiKey),
        ("POST pipelines", Pipeline),
        ("POST run_templates", RunTemplate),
        ("PUT run_templates/{}", RunTemplate),
        ("PUT run_templates/{}/curation", RunTemplate),
        ("PUT run_templates/{}/document", RunTemplate),
        ("POST run_templates/{}/presets", Preset),
        ("PUT run_templates/{}/presets/{}", Preset),
        ("POST run_templates/{}/role_grants", RoleGrant),
        ("POST projects/{}/role_grants", RoleGrant),
        ("POST schedules", Schedule),
        ("PUT schedules/{}", Schedule),
        ("PUT runs/{}", PipelineRun),
        ("POST runs/{}/stop", PipelineRun),
        ("POST runs/{}/lease", PipelineRun),
        ("POST runs/{}/steps/{}/start", PipelineRun),
        ("POST runs/{}/steps/{}/progress", PipelineRun),
        ("POST runs/{}/steps/{}/end", PipelineRun),
        ("POST run-metadata", PipelineRun),
    ],
)
def test_what_is_gone_is_neither_told_of_nor_done_again(
    root: Client, things: Things, alice: User, route: str, model: type[Model]
) -> None:
    method, (address, body) = route.split()[0], filled(ONCE[route], things)
    assert send(root, method, address, body).status_code == 200
    found = model._default_manager.all()
    if model is User:
        found = found.exclude(pk=alice.pk)
    elif model is ApiKey:
        found = found.exclude(name="root")
    elif model is Pipeline:
        found = found.filter(name="new")
    found.delete()
    left = everything()
    again = send(root, method, address, body)
    assert (again.status_code, "not there any more" in again.text) == (404, True)
    assert everything() == left


def test_a_key_that_is_too_long_does_nothing(rest: Client, stacks: Any) -> None:
    answer = send(rest, "POST", "pipelines", {"name": "a"}, key="k" * 256)
    assert answer.json()["errors"][0]["pointer"] == "/Idempotency-Key"
    assert send(rest, "POST", "pipelines", {"name": "a"}, key="k" * 255).status_code == 200


def test_a_dry_run_tells_the_same_again(rest: Client, template: RunTemplate) -> None:
    address, body = ONCE["PUT run_templates/{}/document"][0] + "&dry_run=true", {"format": 1, "tags": ["new"]}
    first, second = (
        send(rest, "PUT", address, {**body, "name": "daily-retraining"}).json() for _ in range(2)
    )
    assert first["changes"]
    assert second == first
    assert not KeyedRequest.objects.exists()


def test_bodies_are_kept_only_as_hashes_that_need_a_key(rest: Client, stacks: Any, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = ["first"]
    send(rest, "POST", "pipelines", {"name": "a"})
    kept = KeyedRequest.objects.get().body_hash
    settings.ENCRYPTION_KEYS = ["second", "first"]
    assert send(rest, "POST", "pipelines", {"name": "a"}).headers["Idempotent-Replayed"] == "true"
    send(rest, "POST", "pipelines", {"name": "a"}, key="other")
    assert KeyedRequest.objects.filter(body_hash=kept).count() == 1


def test_old_keys_are_forgotten(rest: Client, stacks: Any, settings: Any) -> None:
    for key in "ab":
        send(rest, "POST", "pipelines", {"name": key}, key=key)
    KeyedRequest.objects.filter(key="a").update(
        created=KeyedRequest.objects.get(key="a").created - timedelta(days=8)
    )
    settings.KEEP_IDEMPOTENCY_KEYS = None
    assert forget_old_requests() == 0
    settings.KEEP_IDEMPOTENCY_KEYS = timedelta(days=7)
    assert forget_old_requests() == 1
    assert KeyedRequest.objects.get().key == "b"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("method", "address", "body"),
    [("POST", "pipelines", {"name": "new"}), ("PUT", "current-user/api_keys/mine/rotate", {})],
)
def test_of_many_at_once_one_acts(
    alices_key: str, stacks: Any, alice: User, method: str, address: str, body: Any
) -> None:
    create_api_key(user=alice, name="mine")

    def one(_: int) -> Any:
        try:
            return send(bearer(alices_key), method, address, body)
        finally:
            connections.close_all()

    before = AuditEvent.objects.count()
    with ThreadPoolExecutor(CROWD) as crowd:
        answers = list(crowd.map(one, range(CROWD)))
    first = [
        answer for answer in answers if answer.status_code == 200 and "Idempotent-Replayed" not in answer
    ]
    assert (len(first), AuditEvent.objects.count() - before) == (1, 1)
    others = {answer.status_code for answer in answers if answer is not first[0]}
    if address == "pipelines":
        assert others == {200}
        assert len({answer.json()["id"] for answer in answers}) == 1
    else:
        assert others == {409}
        text = first[0].json()["body"]["key"]
        assert bearer(text).get("/api/v1/current-user").status_code == 200
