"""From a run to a template of it, and from the list of pipelines to a run: the manual's flows in the dashboard."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from runs_app.models import PipelineRun
from runs_app.services import Trigger, launch_run
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from tests.factories import freeze, launch, make_editor
from zenweb.accounts.models import RoleGrant, User
from zenweb.enums import ExecutionStatus, Role, TriggerChannel


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    client.force_login(make_editor(bob))
    return client


def run_of(deployment: PipelineDeployment, user: User) -> PipelineRun:
    """A finished run that was not started from a template."""
    trigger = Trigger(actor=user, channel=TriggerChannel.SDK)
    run = launch_run(deployment=deployment, configuration=None, trigger=trigger).run
    PipelineRun.objects.filter(pk=run.pk).update(status=ExecutionStatus.COMPLETED)
    return run


@pytest.fixture
def run(deployment: PipelineDeployment, alice: User) -> PipelineRun:
    return run_of(deployment, alice)


@pytest.fixture
def local_run(stacks: dict[str, Stack], alice: User) -> PipelineRun:
    return run_of(freeze("training.training_pipeline", alice, stacks["default"]), alice)


def address(run: PipelineRun) -> str:
    return reverse("run-new-template", args=[run.id])


def create(pages: Client, run: PipelineRun, **values: str) -> Any:
    return pages.post(address(run), values)


def test_a_run_of_a_remote_stack_offers_to_make_a_template(
    pages: Client, run: PipelineRun, local_run: PipelineRun
) -> None:
    assert "New Template" in pages.get(run.get_absolute_url()).text
    assert "New Template" not in pages.get(local_run.get_absolute_url()).text


def test_a_name_makes_a_template_of_what_the_run_ran_on_its_stack(
    pages: Client, run: PipelineRun, bob: User
) -> None:
    assert "Create" in pages.get(address(run)).text
    answer = create(pages, run, name="daily", description="Every morning.")
    template = RunTemplate.objects.get()
    assert answer.url == template.get_absolute_url()
    assert (template.name, template.user, template.description) == ("daily", bob, "Every morning.")
    assert template.deployment == run.deployment
    launched = launch(template, bob)
    assert launched.stack == run.stack


@pytest.mark.parametrize("name", ["", "   ", "a/b", "x" * 256, "0b5c7a1e-0000-4000-8000-000000000001"])
def test_a_name_that_cannot_be_is_refused_with_the_reason(pages: Client, run: PipelineRun, name: str) -> None:
    page = create(pages, run, name=name, description="Kept.")
    assert page.status_code == 422
    assert 'id="id_name_error"' in page.text
    assert "Kept." in page.text
    assert not RunTemplate.objects.exists()


def test_a_name_that_is_taken_is_refused_unless_a_new_version_is_meant(
    pages: Client, run: PipelineRun, bob: User
) -> None:
    create(pages, run, name="daily")
    page = create(pages, run, name="daily")
    assert page.status_code == 422
    assert "There is a template of this name." in page.text
    assert create(pages, run, name="daily", update="1").status_code == 302
    assert RunTemplate.objects.count() == 1


def test_somebody_elses_template_gets_no_version_from_here(
    pages: Client, run: PipelineRun, template: RunTemplate, bob: User
) -> None:
    RunTemplate.objects.update(is_restricted=True)
    RoleGrant.objects.create(template=template, user=bob, role=Role.RUNNER)
    page = create(pages, run, name=template.name, update="1")
    assert page.status_code == 422
    assert "yours is Runner" in page.text
    assert template.versions.count() == 1


def test_a_local_run_makes_no_template(pages: Client, local_run: PipelineRun) -> None:
    for answer in (pages.get(address(local_run)), create(pages, local_run, name="daily")):
        assert answer.url == local_run.get_absolute_url()
    assert (
        "Unable to create a run template on the local stack" in pages.get(local_run.get_absolute_url()).text
    )
    assert not RunTemplate.objects.exists()


def test_a_pipeline_is_run_from_the_list_of_pipelines(pages: Client, template: RunTemplate) -> None:
    assert f'href="{reverse("pipeline-run")}"' in pages.get(reverse("pipeline-list")).text
    page = pages.get(reverse("pipeline-run")).text
    assert f"{template.pipeline.name}</h2>" in page
    assert f'href="{template.get_absolute_url()}"' in page
    assert f'href="{template.get_absolute_url()}?view=yaml"' in page


@pytest.mark.parametrize(("text", "is_found"), [("daily", True), ("training_pipe", True), ("nothing", False)])
def test_what_is_run_can_be_searched(pages: Client, template: RunTemplate, text: str, is_found: bool) -> None:
    page = pages.get(reverse("pipeline-run"), {"q": text}).text
    assert (template.get_absolute_url() in page) is is_found


@pytest.mark.parametrize("change", [{"is_enabled": False}, {"is_hidden": True}])
def test_what_is_hidden_or_switched_off_is_not_offered(
    pages: Client, template: RunTemplate, change: dict[str, bool]
) -> None:
    RunTemplate.objects.update(**change)
    assert template.get_absolute_url() not in pages.get(reverse("pipeline-run")).text


def test_the_list_asks_the_database_the_same_for_one_template_as_for_many(
    pages: Client, template: RunTemplate, run: PipelineRun, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        create(pages, run, name=f"template {number}")
    with django_assert_max_num_queries(6):
        assert "template 4" in pages.get(reverse("pipeline-run")).text


def test_a_stranger_makes_and_sees_nothing(client: Client, run: PipelineRun) -> None:
    assert create(client, run, name="daily").url.startswith(reverse("login"))
    assert client.get(reverse("pipeline-run")).url.startswith(reverse("login"))
    assert not RunTemplate.objects.exists()
