"""A server from before there were roles goes on as it was when it is upgraded."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from runs_app.models import ArtifactVersion
from runs_app.presets import create_preset
from runs_app.uploads import store_upload
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from zenweb.accounts.actions import Action
from zenweb.accounts.models import RoleGrant, User
from zenweb.accounts.permissions import may_in_project

upgrade: Any = import_module("runs_app.migrations.0005_roles")


def test_authors_become_editors(deployment: PipelineDeployment, alice: User, bob: User) -> None:
    """Those who registered something, each once; who has never done so stays what everybody is."""
    RoleGrant.objects.all().delete()
    for _ in range(2):
        upgrade.keep_authors(apps, None)
    assert [str(grant) for grant in deployment.project.role_grants.all()] == ["alice: editor"]
    may = [may_in_project(user, Action.AUTHOR, deployment.project) for user in (alice, bob)]
    assert may == [True, False]


def test_an_author_who_was_given_more_keeps_it(deployment: PipelineDeployment, alice: User) -> None:
    RoleGrant.objects.update(role=40)
    upgrade.keep_authors(apps, None)
    assert [str(grant) for grant in deployment.project.role_grants.all()] == ["alice: owner"]


@pytest.mark.parametrize("is_shared", [True, False])
def test_files_of_shared_presets_stay_usable(
    stacks: dict[str, Stack], alice: User, bob: User, is_shared: bool
) -> None:
    template: RunTemplate = make_template(
        freeze("filed.filed_pipeline", alice, stacks["celery"]), alice, "filed"
    )
    version = store_upload(actor=alice, project=template.project, name="a.csv", content=[b"1"])
    values = {"steps": {"read": {"parameters": {"document": {"artifact_version": str(version.pk)}}}}}
    preset = create_preset(
        actor=alice, template=template, name="all", configuration=values, is_shared=is_shared
    )
    preset.files.clear()
    assert not ArtifactVersion.objects.visible_to(bob).exists()
    upgrade.share_files(apps, None)
    assert ArtifactVersion.objects.visible_to(bob).exists() == is_shared
    if is_shared:
        assert launch(template, bob, values).user == bob
