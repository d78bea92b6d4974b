"""What a restriction and a role keep to themselves, also where one does not think of it."""

from typing import Any

import pytest
from django.test import Client

from runs_app.models import ArtifactVersion, PipelineRun, Schedule
from runs_app.repair import Repair, preview_repair
from runs_app.schedules import create_schedule, update_schedule
from runs_app.uploads import store_upload
from templates_app.models import CodeArchive, PipelineDeployment, RunTemplate, Stack
from templates_app.services import delete_run_template, store_code_archive
from tests.accounts.conftest import ask, bearer
from tests.factories import freeze, launch, make_editor, make_template
from zenweb.accounts.models import Project, RoleGrant, User
from zenweb.accounts.services import create_api_key, default_project
from zenweb.enums import ExecutionStatus, KeyAccess, Role
from zenweb.exceptions import CodeArchiveRefused, NotAllowed, ValidationFailed


@pytest.fixture
def secret(template: RunTemplate) -> RunTemplate:
    template.is_restricted = True
    template.save()
    return template


@pytest.fixture
def bobs(bob: User) -> Client:
    return bearer(create_api_key(user=bob, name="his")[1])


def addresses(template: RunTemplate) -> list[str]:
    deployment = template.deployment
    return [f"/pipeline_deployments/{deployment.pk}", f"/code_archives/{deployment.code_archive.sha256}"]


def test_when_it_is_deleted_its_code_and_runs_stay_hidden(
    secret: RunTemplate, alice: User, bobs: Client
) -> None:
    known, run = addresses(secret), launch(secret, alice)
    stale = RunTemplate.objects.get(pk=secret.pk)
    stale.is_restricted = False  # as who deletes it has seen it before
    delete_run_template(actor=alice, template=stale)
    for address in [*known, f"/runs/{run.pk}", "/pipelines/training_pipeline"]:
        assert ask(bobs, "GET", address).status_code == 404, address


def test_knowing_the_hash_of_code_opens_nothing(secret: RunTemplate, bob: User, bobs: Client) -> None:
    make_editor(bob)
    archive = secret.deployment.code_archive
    address = f"/code_archives/{archive.sha256}"
    assert ask(bobs, "GET", address).status_code == 404
    with pytest.raises(CodeArchiveRefused):
        store_code_archive(actor=bob, sha256=archive.sha256, content=b"")
    body = {
        **{key: {} for key in ("spec", "config_schema", "config_template")},
        "pipeline": "mine",
        "stack": "celery",
        "code_archive": archive.sha256,
        "python_version": "3.11",
        "client_version": "0.1.0",
    }
    answer = ask(bobs, "POST", "/pipeline_deployments", body)
    assert "Upload this code archive first." in answer.text
    store_code_archive(actor=bob, sha256=archive.sha256, content=bytes(archive.content))
    assert ask(bobs, "GET", address).status_code == 200
    assert CodeArchive.objects.count() == 1


def test_what_one_may_not_see_is_not_called_by_its_name(
    secret: RunTemplate, bob: User, bobs: Client, alice: User
) -> None:
    make_editor(bob)
    for path in (f"/run_templates/{secret.pk}/runs", f"/run_templates/{secret.pk}/validate"):
        answer = ask(bobs, "POST", path, {})
        assert answer.status_code == 404
        assert secret.name not in answer.text
        assert str(secret.pk) in answer.text
    mine = PipelineDeployment.objects.create(
        **{
            field.attname: getattr(secret.deployment, field.attname)
            for field in PipelineDeployment._meta.concrete_fields
            if field.name not in {"id", "user", "fingerprint"}
        },
        user=bob,
        fingerprint="other",
    )
    body = {"name": secret.name, "source_deployment_id": str(mine.pk), "update": True}
    answer = ask(bobs, "POST", "/run_templates", body)
    assert answer.status_code == 409
    assert "Nobody" not in answer.text
    secret.deployment.pipeline.user = bob
    secret.deployment.pipeline.save()
    refused = ask(bobs, "DELETE", "/pipelines/training_pipeline")
    assert refused.status_code == 403
    assert secret.name not in refused.text
    assert "some that you do not see" in refused.text


def test_looking_ahead_at_a_repair_takes_what_a_repair_takes(
    template: RunTemplate, alice: User, bob: User
) -> None:
    launch(template, alice)
    PipelineRun.objects.update(status=ExecutionStatus.FAILED)
    run = PipelineRun.objects.get()
    preview_repair(actor=bob, repair=Repair(run))
    Project.objects.update(default_role=Role.VIEWER)
    with pytest.raises(NotAllowed):
        preview_repair(actor=bob, repair=Repair(PipelineRun.objects.get()))


@pytest.fixture
def filed(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("filed.filed_pipeline", alice, stacks["celery"]), alice, "filed")


def uploaded(owner: User) -> ArtifactVersion:
    return store_upload(actor=owner, project=default_project(), name="payroll.txt", content=[b"secret"])


def giving(version: ArtifactVersion) -> dict[str, Any]:
    return {"steps": {"read": {"parameters": {"document": {"artifact_version": str(version.pk)}}}}}


def test_changing_somebodys_schedule_lends_nobody_their_files(
    filed: RunTemplate, alice: User, bob: User
) -> None:
    RoleGrant.objects.create(template=filed, user=bob, role=Role.EDITOR)
    theirs = create_schedule(actor=alice, template=filed, name="nightly", cron="0 0 * * *", is_paused=True)
    values = giving(uploaded(alice))
    with pytest.raises(ValidationFailed, match="There is no artifact version"):
        update_schedule(actor=bob, schedule=theirs, configuration=values)
    update_schedule(actor=alice, schedule=theirs, configuration=values)
    update_schedule(actor=bob, schedule=Schedule.objects.get(), name="weekly")


def test_who_may_only_see_a_file_notes_nothing_about_it(alice: User, bob: User, bobs: Client) -> None:
    version = uploaded(alice)
    RoleGrant.objects.create(project=default_project(), user=bob, role=Role.OWNER)
    body = {"resources": [{"id": str(version.pk), "type": "artifact_version"}], "values": {"approved": True}}
    assert ask(bobs, "POST", "/run-metadata", body).status_code == 200
    RoleGrant.objects.filter(user=bob).update(role=Role.EDITOR)
    assert ask(bobs, "POST", "/run-metadata", body).status_code in {403, 404}


def test_a_bound_key_uploads_only_where_its_templates_are(template: RunTemplate, alice: User) -> None:
    other = Project.objects.create(name="other")
    template.project = other
    template.save()
    RoleGrant.objects.create(project=other, user=alice, role=Role.OWNER)
    key = bearer(create_api_key(user=alice, name="bound", templates=[template], access=KeyAccess.RUN)[1])
    assert ask(key, "POST", "/uploads?name=a.csv", "x").status_code == 403
    assert ask(key, "POST", "/uploads?name=a.csv&project=other", "x").status_code == 200


def test_the_page_of_access_tells_nobody_who_else_is_here(
    client: Client, template: RunTemplate, alice: User, bob: User
) -> None:
    RoleGrant.objects.update(role=Role.RUNNER)
    RoleGrant.objects.create(project=template.project, user=bob, role=Role.EDITOR)
    client.force_login(alice)  # she made the template, and is nobody's owner in the project
    page = client.get(f"/templates/{template.pk}/access/").text
    assert "made the template" in page
    assert "bob" not in page


def test_whether_a_template_is_restricted_is_told(rest: Client, template: RunTemplate) -> None:
    address = f"/run_templates/{template.pk}"
    assert ask(rest, "GET", address).json()["body"]["restricted"] is False
    assert ask(rest, "PUT", address, {"restricted": True}).json()["body"]["restricted"] is True


def test_what_is_said_of_a_version_holds_for_who_asks(rest: Client, template: RunTemplate) -> None:
    """Alice is the owner: what is fixed for others is not for her, wherever she looks."""
    curation = {"parameters": {"trainer.learning_rate": {"locked": 0.5, "unless": "editor"}}}
    address = f"/run_templates/{template.pk}"
    assert ask(rest, "PUT", f"{address}/curation", curation).status_code == 200
    for path in (address, f"{address}/versions/2"):
        assert '"const"' not in ask(rest, "GET", path).text, path
    assert '"const"' not in ask(rest, "PUT", address, {"description": "x"}).text
    values = {"steps": {"trainer": {"parameters": {"learning_rate": 0.25}}}}
    assert ask(rest, "POST", f"{address}/presets", {"name": "a", "configuration": values}).status_code == 200
    assert ask(rest, "PUT", f"{address}/presets/a", {"configuration": values}).status_code == 200
