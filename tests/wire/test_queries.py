"""Every route that is read asks the database as often for thirty things as for one."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from runs_app.models import (
    ArtifactVersion,
    PipelineRun,
    RunEvent,
    Schedule,
    StepOutput,
    StepRun,
    Worker,
)
from runs_app.plans import curated_by_id, plan_of, rules_by_id
from runs_app.presets import create_preset
from runs_app.schedules import create_schedule
from templates_app.models import Preset, RunTemplate, RunTemplateVersion, Stack
from templates_app.services import curate_run_template
from tests.composing import compiled, own
from tests.factories import freeze, make_template
from zenweb.accounts.models import ApiKey, AuditEvent, RoleGrant, User
from zenweb.accounts.services import create_api_key, create_service_account
from zenweb.enums import Role

MANY = 29  # beside the first
Found = dict[str, Any]
# By the route as urls.py spells it, the address of a thing that `things` knows.
ROUTES: dict[str, str] = {
    "info": "info",
    "version": "version",
    "current-user": "current-user",
    "current-user/api_keys": "current-user/api_keys",
    "current-user/api_keys/<str:key>": "current-user/api_keys/{own_key}",
    "api_token": "api_token",
    "service_accounts": "service_accounts",
    "service_accounts/<str:account>": "service_accounts/{account}",
    "service_accounts/<str:account>/api_keys": "service_accounts/{account}/api_keys",
    "service_accounts/<str:account>/api_keys/<str:key>": "service_accounts/{account}/api_keys/{key}",
    "audit_events": "audit_events",
    "audit_events/export": "audit_events/export",
    "audit_events/<str:event>": "audit_events/{event}",
    "projects": "projects",
    "projects/<str:name_or_id>": "projects/default",
    "projects/<str:name_or_id>/role_grants": "projects/default/role_grants",
    "projects/<str:name_or_id>/role_grants/<str:grant_id>": "projects/default/role_grants/{project_grant}",
    "run_templates/<str:name_or_id>/role_grants": "run_templates/{template}/role_grants",
    "run_templates/<str:name_or_id>/role_grants/<str:grant_id>": "run_templates/{template}/role_grants/{grant}",
    "pipelines": "pipelines",
    "pipelines/<str:name_or_id>": "pipelines/{pipeline}",
    "stacks": "stacks",
    "stacks/<str:name_or_id>": "stacks/celery",
    "code_archives/<str:sha256>": "code_archives/{code}",
    "pipeline_deployments": "pipeline_deployments",
    "pipeline_deployments/<str:deployment_id>": "pipeline_deployments/{deployment}",
    "pipeline_snapshots": "pipeline_snapshots",
    "pipeline_snapshots/<str:name_or_id>": "pipeline_snapshots/{template}",
    "pipeline_builds/<str:deployment_id>": "pipeline_builds/{deployment}",
    "run_templates": "run_templates",
    "run_templates/<str:name_or_id>": "run_templates/{template}",
    "run_templates/<str:name_or_id>/curation": "run_templates/{template}/curation",
    "run_templates/<str:name_or_id>/document": "run_templates/{template}/document",
    "run_templates/<str:name_or_id>/versions": "run_templates/{template}/versions",
    "run_templates/<str:name_or_id>/check": "run_templates/{template}/check",
    "run_templates/<str:name_or_id>/comparison": "run_templates/{template}/comparison",
    "run_templates/<str:name_or_id>/versions/<str:version>": "run_templates/{template}/versions/1",
    "run_templates/<str:name_or_id>/usage": "run_templates/{template}/usage",
    "run_templates/<str:name_or_id>/presets": "run_templates/{template}/presets",
    "run_templates/<str:name_or_id>/presets/<str:preset>": "run_templates/{template}/presets/{preset}",
    "schedules": "schedules",
    "schedules/<str:name_or_id>": "schedules/{schedule}",
    "runs": "runs",
    "runs/<str:name_or_id>": "runs/{run}",
    "runs/<str:name_or_id>/status": "runs/{run}/status",
    "runs/<str:name_or_id>/dag": "runs/{run}/dag",
    "runs/<str:name_or_id>/pipeline-configuration": "runs/{run}/pipeline-configuration",
    "runs/<str:name_or_id>/events": "runs/{run}/events",
    "runs/<str:name_or_id>/logs": "runs/{run}/logs",
    "runs/<str:name_or_id>/steps": "runs/{run}/steps",
    "steps": "steps",
    "steps/<str:step_id>": "steps/{step}",
    "steps/<str:step_id>/status": "steps/{step}/status",
    "steps/<str:step_id>/logs": "steps/{step}/logs",
    "artifacts": "artifacts",
    "artifacts/<str:name_or_id>": "artifacts/{artifact}",
    "artifact_versions": "artifact_versions",
    "artifact_versions/<str:version_id>": "artifact_versions/{artifact_version}",
    "artifact_versions/<str:version_id>/visualize": "artifact_versions/{artifact_version}/visualize",
    "artifact_versions/<str:version_id>/content": "artifact_versions/{artifact_version}/content",
    # Made of the code alone, and asking nothing.
    "docs": "docs",
    "openapi.json": "openapi.json",
    "openapi.yaml": "openapi.yaml",
}
MAY_BE_MISSING = {"runs/{run}/logs", "steps/{step}/logs", "artifact_versions/{artifact_version}/content"}


def read_routes(patterns: Any, before: str = "") -> Iterator[str]:
    """Those of REST that answer GET."""
    for pattern in patterns:
        path = f"{before}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from read_routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and hasattr(getattr(pattern.callback, "cls", None), "get"):
            yield path


def more(row: Model, count: int = MANY, **changes: Any) -> list[Any]:
    """Many rows like this one; what has to differ is said by a function of their number, or as it is."""
    model, copies = type(row), list[Any]()
    for number in range(count):
        copy = model(**{field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields})
        copy.pk = uuid.uuid4() if isinstance(row.pk, uuid.UUID) else None
        for name, value in changes.items():
            setattr(copy, name, value(number) if callable(value) else value)
        copies.append(copy)
    return list(model._default_manager.bulk_create(copies))


def named(number: int) -> str:
    return f"another {number}"


def counted(number: int) -> int:
    return number + 100


def hashed(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def root(alice: User) -> Client:
    """Alice as an administrator, whom every route answers."""
    User.objects.filter(pk=alice.pk).update(is_superuser=True, is_staff=True)
    return Client(headers={"Authorization": f"Bearer {create_api_key(user=alice, name='root')[1]}"})


@pytest.fixture
def things(ended: PipelineRun, alice: User, root: Client) -> Found:
    """One of each, by the names in `ROUTES`."""
    alice.refresh_from_db()
    template, step = ended.template, ended.steps.get(name="evaluator")
    assert template is not None
    account = create_service_account(actor=alice, name="ci")
    output = StepOutput.objects.get(step=step)
    return {
        "own_key": ApiKey.objects.get(user=alice, name="root").pk,
        "account": account.pk,
        "key": create_api_key(user=account, name="first")[0].pk,
        "grant": RoleGrant.objects.create(template=template, user=account, role=Role.VIEWER).pk,
        "project_grant": RoleGrant.objects.create(
            project=template.project, user=account, role=Role.VIEWER
        ).pk,
        "event": AuditEvent.objects.latest("pk").pk,
        "pipeline": ended.pipeline_id,
        "deployment": ended.deployment_id,
        "code": ended.deployment.code_archive.sha256,
        "template": template.pk,
        "preset": create_preset(actor=alice, template=template, name="mine").name,
        "schedule": create_schedule(actor=alice, template=template, name="daily", cron="0 6 * * *").pk,
        "run": ended.pk,
        "step": step.pk,
        "artifact": output.artifact_version.artifact_id,
        "artifact_version": output.artifact_version_id,
    }


def multiply(things: Found) -> Found:
    """Many of each, and a run of many steps in place of the one."""
    run = PipelineRun.objects.get(pk=things["run"])
    template = RunTemplate.objects.get(pk=things["template"])
    version = ArtifactVersion.objects.get(pk=things["artifact_version"])
    more(run.project, name=named)
    more(run.pipeline, name=named)
    more(run.deployment, fingerprint=hashed)
    more(template, name=named)
    more(RunTemplateVersion.objects.get(template=template), number=counted)
    more(Preset.objects.get(template=template), name=named)
    more(Schedule.objects.get(), name=named)
    more(version, version=counted)
    more(version.artifact, name=named)
    more(AuditEvent.objects.latest("pk"))
    for account in more(User.objects.get(pk=things["account"]), username=named):
        RoleGrant.objects.create(template=template, user=account, role=Role.VIEWER)
        RoleGrant.objects.create(project=template.project, user=account, role=Role.VIEWER)
    more(ApiKey.objects.get(pk=things["key"]), name=named, secret_hash=hashed)
    more(ApiKey.objects.get(pk=things["own_key"]), name=named, secret_hash=hashed)
    for other in more(run, name=named, index=counted):
        more(StepRun.objects.get(pk=things["step"]), 1, run_id=other.pk)
    return things | _widened(run, StepRun.objects.get(pk=things["step"]))


def _widened(run: PipelineRun, step: StepRun) -> Found:
    """A run like this one, but with many steps like this one, and many repairs."""
    steps = run.deployment.spec["steps"]
    spec = {
        **run.deployment.spec,
        "steps": [*steps, *({**steps[step.index], "name": named(number)} for number in range(MANY))],
    }
    (deployment,) = more(run.deployment, 1, fingerprint="wide", spec=spec)
    (wide,) = more(run, 1, name="wide", deployment_id=deployment.pk, index=99)
    more(run, name=lambda number: f"repair {number}", index=counted, original_id=wide.pk)
    more(RunEvent.objects.filter(run=run)[0], run_id=wide.pk)
    for former in run.steps.all():
        (first,) = more(former, 1, run_id=wide.pk)
        more(former.attempts.get(), 1, step_id=first.pk)
        more(former.outputs.get(), 1, step_id=first.pk)
    for other in more(first, name=named, index=lambda number: len(steps) + number):
        more(step.attempts.get(), 1, step_id=other.pk)
        more(step.outputs.get(), 1, step_id=other.pk)
    more(step.attempts.get(), step_id=first.pk, number=counted)
    return {"run": wide.pk, "step": first.pk}


def test_the_table_names_every_route_that_is_read() -> None:
    prefix = "api/v1/"
    routes = {route.removeprefix(prefix) for route in read_routes(get_resolver().url_patterns)}
    assert {route for route in routes if not route.startswith(("^", "admin"))} == ROUTES.keys()


@pytest.mark.parametrize("hydrate", [False, True])
def test_a_route_asks_as_often_for_many_as_for_one(root: Client, things: Found, hydrate: bool) -> None:
    def ask(address: str, things: Found) -> int:
        with CaptureQueriesContext(connection) as asked:
            answer = root.get(f"/api/v1/{address.format(**things)}", {"size": 100, "hydrate": hydrate})
        expected = {200, 404} if address in MAY_BE_MISSING else {200}
        assert answer.status_code in expected, (address, answer.content)
        b"".join(answer) if answer.streaming else answer.content
        return len(asked)

    def ask_all(things: Found) -> dict[str, int]:
        for address in ROUTES.values():
            ask(address, things)  # what is kept in memory is there
        return {address: ask(address, things) for address in ROUTES.values()}

    of_one = ask_all(things)
    of_many = ask_all(multiply(things))
    assert of_many == of_one
    assert max(of_one.values()) <= 20


def test_a_key_costs_a_few_statements_and_none_where_there_is_none(rest: Client, stacks: Any) -> None:
    def statements(name: str, key: str) -> list[str]:
        with CaptureQueriesContext(connection) as asked:
            answer = rest.post(
                "/api/v1/pipelines",
                {"name": name},
                content_type="application/json",
                headers={"Idempotency-Key": key},
            )
        assert answer.status_code == 200
        return [query["sql"] for query in asked]

    statements("first", "")  # what is kept in memory is there
    without, with_key = statements("second", ""), statements("third", "k")
    kept = [sql for sql in with_key if "keyedrequest" in sql]
    assert [sql.split()[0] for sql in kept] == ["SELECT", "INSERT", "SELECT", "UPDATE"]
    assert not any("keyedrequest" in sql for sql in without)
    assert len(with_key) <= len(without) + len(kept) + 2  # and a transaction
    assert not any(sql.startswith(("INSERT", "UPDATE")) for sql in statements("third", "k"))


def test_values_with_parameters_of_the_pipeline_are_judged_together(
    root: Client, alice: User, stacks: dict[str, Stack], hand: Worker
) -> None:
    template = make_template(freeze("composed.composed_pipeline", alice, stacks["celery"]), alice, "composed")
    bound = {"parameters": {"train.rate": {"maximum": 0.5}}}

    def keep(*numbers: int) -> None:
        for number in numbers:
            compiled(template, alice, hand, own(n_models=number))
            values = own(n_models=number)
            create_preset(actor=alice, template=template, name=f"{number} models", configuration=values)

    def ask() -> dict[str, int]:
        found = {}
        for address in ["presets", "check", "comparison?from=1"] * 2:
            for kept in (plan_of, curated_by_id, rules_by_id):
                kept.cache_clear()  # as in a process that has just started
            with CaptureQueriesContext(connection) as asked:
                answer = root.get(f"/api/v1/run_templates/composed/{address}")
            assert answer.status_code == 200, answer.content
            found[address] = len(asked)
        return found

    keep(1)
    first = template.version
    curate_run_template(actor=alice, template=template, curation=bound)
    of_one = ask()
    template.refresh_from_db()
    keep(3, 4, 5)
    Preset.objects.update(version=first)
    assert ask() == of_one
