"""A run is given only what its starter may see: anything else is not there, in each channel and inside of its steps."""

from typing import Any

import pytest
from django.test import Client

from runs_app.given_files import given_files
from runs_app.models import Artifact, ArtifactVersion, PipelineRun, StepOutput
from runs_app.presets import create_preset, update_preset
from runs_app.schedules import create_schedule
from runs_app.uploads import store_upload
from templates_app.models import RunTemplate, Stack
from tests.accounts.conftest import ask, give, rest_of
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.artifacts.materializers.files import PATH_MATERIALIZER
from zenweb.enums import Role
from zenweb.exceptions import ValidationFailed

DOCUMENT = "steps.read.parameters.document"
NOT_THERE = "There is no artifact version"


@pytest.fixture
def filed(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    """Everybody may run it."""
    return make_template(freeze("filed.filed_pipeline", alice, stacks["celery"]), alice, "filed")


def uploaded(filed: RunTemplate, alice: User) -> ArtifactVersion:
    """A file of Alice's."""
    return store_upload(actor=alice, project=filed.project, name="salaries.csv", content=[b"a,b\n1,2\n"])


def given_out(filed: RunTemplate, alice: User) -> ArtifactVersion:
    """A file that a run of a restricted template of hers has made."""
    secret = make_template(filed.deployment, alice, "payroll")
    step = launch(secret, alice).steps.get()
    RunTemplate.objects.filter(pk=secret.pk).update(is_restricted=True)
    version = ArtifactVersion.objects.create(
        project=filed.project,
        artifact=Artifact.objects.create(project=filed.project, name="salaries.csv", version_count=1),
        version=1,
        uri="x",
        type="DataArtifact",
        materializer=PATH_MATERIALIZER,
        data_type="pathlib.Path",
        metadata={"string_representation": "salaries.csv"},
        producer_step=step,
    )
    StepOutput.objects.create(step=step, name="made", artifact_version=version)
    return version


@pytest.fixture(params=[uploaded, given_out], ids=["uploaded", "given out"])
def alices(request: pytest.FixtureRequest, filed: RunTemplate, alice: User) -> ArtifactVersion:
    version: ArtifactVersion = request.param(filed, alice)
    return version


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


def values(version: ArtifactVersion) -> dict[str, Any]:
    return {"steps": {"read": {"parameters": {"document": {"artifact_version": str(version.pk)}}}}}


def runs_of(user: User) -> int:
    return PipelineRun.objects.filter(user=user).count()


def test_a_form_finds_and_names_no_file_of_others(
    pages: Client, filed: RunTemplate, alices: ArtifactVersion, alice: User
) -> None:
    search = {DOCUMENT: "", f"{DOCUMENT}.~search": "salaries", "do": f"search - {DOCUMENT}"}
    for sent in (search, {DOCUMENT: str(alices.pk), "do": "look"}):
        assert "salaries.csv" not in pages.post(filed.get_absolute_url(), sent).text
    pages.force_login(alice)
    assert "salaries.csv" in pages.post(filed.get_absolute_url(), search).text


@pytest.mark.parametrize("name", [DOCUMENT, f"{DOCUMENT}.~pick"])
def test_a_form_takes_no_file_of_others(
    pages: Client, filed: RunTemplate, alices: ArtifactVersion, bob: User, name: str
) -> None:
    page = pages.post(filed.get_absolute_url(), {DOCUMENT: "", name: str(alices.pk)})
    assert (page.status_code, NOT_THERE in page.text, runs_of(bob)) == (422, True, 0)


@pytest.mark.parametrize("path", ["runs", "runs?dry_run=true"])
def test_rest_takes_no_file_of_others(
    filed: RunTemplate, alices: ArtifactVersion, bob: User, path: str
) -> None:
    answer = ask(rest_of(bob), "POST", f"/run_templates/filed/{path}", values(alices))
    assert (answer.status_code, NOT_THERE in answer.text, runs_of(bob)) == (422, True, 0)
    for part in ("", "/content", "/visualize"):
        assert ask(rest_of(bob), "GET", f"/artifact_versions/{alices.pk}{part}").status_code == 404
    assert ask(rest_of(bob), "GET", "/artifact_versions?search=salaries").json()["items"] == []


def test_a_preset_of_ones_own_opens_no_file_of_others(
    filed: RunTemplate, alices: ArtifactVersion, bob: User
) -> None:
    create_preset(actor=bob, template=filed, name="mine", configuration=values(alices), is_shared=True)
    answer = ask(rest_of(bob), "POST", "/run_templates/filed/runs", {"preset": "mine"})
    assert (answer.status_code, NOT_THERE in answer.text) == (422, True)
    assert not ArtifactVersion.objects.visible_to(bob).filter(pk=alices.pk).exists()


def test_a_schedule_takes_no_file_of_others(filed: RunTemplate, alices: ArtifactVersion, bob: User) -> None:
    with pytest.raises(ValidationFailed, match=NOT_THERE):
        create_schedule(actor=bob, template=filed, name="s", cron="0 6 * * *", configuration=values(alices))


def test_an_editor_has_nobodys_schedule_read_files_that_are_none_of_theirs(
    filed: RunTemplate, alices: ArtifactVersion, alice: User, bob: User
) -> None:
    """Its runs go by Alice's name, and Bob sees what they give out."""
    schedule = create_schedule(actor=alice, template=filed, name="hers", cron="0 6 * * *")
    give(bob, filed, Role.EDITOR)
    answer = ask(rest_of(bob), "PUT", f"/schedules/{schedule.pk}", {"configuration": values(alices)})
    assert (answer.status_code, NOT_THERE in answer.text) == (422, True)


def test_a_step_is_given_no_file_of_others(filed: RunTemplate, alices: ArtifactVersion, bob: User) -> None:
    """However it came to be named there."""
    run = launch(filed, bob)
    parameters = values(alices)["steps"]["read"]["parameters"]
    assert given_files(run, parameters) == {}
    give(bob, filed, Role.OWNER)
    RunTemplate.objects.filter(name="payroll").update(is_restricted=False)
    assert len(given_files(run, parameters)) == (alices.producer_step is not None)


def test_the_file_in_a_shared_preset_is_for_who_may_use_that(
    filed: RunTemplate, alice: User, bob: User
) -> None:
    version = uploaded(filed, alice)
    shared = create_preset(
        actor=alice, template=filed, name="all", configuration=values(version), is_shared=True
    )
    run = launch(filed, bob, values(version))
    parameters = values(version)["steps"]["read"]["parameters"]
    assert given_files(run, parameters).keys() == {str(version.pk)}
    assert ask(rest_of(bob), "POST", "/run_templates/filed/runs", {"preset": "all"}).status_code == 200
    RunTemplate.objects.update(is_restricted=True)
    assert given_files(run, parameters) == {}
    RunTemplate.objects.update(is_restricted=False)
    update_preset(actor=alice, preset=shared, is_shared=False)
    assert given_files(run, parameters) == {}
