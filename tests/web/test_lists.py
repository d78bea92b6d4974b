"""The lists of templates, runs and pipelines: found by words, narrowed, and never empty without advice."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from runs_app.models import PipelineRun
from templates_app.models import PipelineDeployment, RunTemplate
from tests.factories import launch, make_template
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    """A browser in which Bob is signed in."""
    client.force_login(bob)
    return client


def test_templates_are_found_by_name_and_by_pipeline(pages: Client, template: RunTemplate) -> None:
    for text, is_found in [("RETRAIN", True), ("training_pipe", True), ("nothing", False)]:
        assert (template.name in pages.get(reverse("run-template-list"), {"q": text}).text) is is_found


def test_hidden_templates_are_left_out(pages: Client, template: RunTemplate) -> None:
    RunTemplate.objects.update(is_hidden=True)
    assert template.name not in pages.get(reverse("run-template-list")).text


def test_the_search_sends_only_the_list_to_htmx(pages: Client, template: RunTemplate) -> None:
    part = pages.get(reverse("run-template-list"), {"q": "daily"}, headers={"HX-Request": "true"}).text
    assert template.name in part
    assert "<html" not in part


def test_the_first_screen_of_an_empty_server_says_what_to_do(pages: Client) -> None:
    assert "zenweb pipeline create-run-template" in pages.get(reverse("run-template-list")).text
    assert "Choose a template" in pages.get(reverse("run-list")).text


def test_a_list_of_templates_takes_the_same_queries_however_long(
    pages: Client, deployment: PipelineDeployment, alice: User, django_assert_num_queries: object
) -> None:
    for number in range(5):
        make_template(deployment, alice, f"template {number}")
    with django_assert_num_queries(6):  # session, user, what he is (two), count, templates
        pages.get(reverse("run-template-list"))


def test_runs_are_narrowed_to_a_template_whatever_it_is_called(
    pages: Client, template: RunTemplate, alice: User
) -> None:
    RunTemplate.objects.filter(pk=template.pk).update(name='a "b" <i>&')
    run, option = (
        launch(template, alice),
        f'<option value="{template.pk}"{{}}>a &quot;b&quot; &lt;i&gt;&amp;</option>',
    )
    assert option.format("") in pages.get(reverse("run-list")).text
    chosen = pages.get(reverse("run-list"), {"template": str(template.pk)}).text
    assert option.format(" selected") in chosen
    assert run.name in chosen
    assert run.name in pages.get(reverse("run-list"), {"template": "nonsense"}).text


def test_runs_are_narrowed_by_status_template_and_words(
    pages: Client, template: RunTemplate, alice: User
) -> None:
    run = launch(template, alice)
    shown = {
        "status": {"status": "initializing"},
        "template": {"template": str(template.id)},
        "words": {"q": "training"},
        "old link": {"status": "nonsense", "template": "nonsense"},
    }
    hidden = {"status": {"status": "failed"}, "words": {"q": "elsewhere"}}
    assert all(run.name in pages.get(reverse("run-list"), query).text for query in shown.values())
    assert not any(run.name in pages.get(reverse("run-list"), query).text for query in hidden.values())


def test_only_statuses_that_a_run_can_have_are_offered(pages: Client) -> None:
    offered = re.findall(r'<option value="([a-z]+)"', pages.get(reverse("run-list")).text)
    assert offered == ["initializing", "running", "completed", "failed", "stopping", "stopped"]


def test_a_list_is_live_while_something_on_it_runs(pages: Client, template: RunTemplate, alice: User) -> None:
    launch(template, alice)
    assert "every 2s" in pages.get(reverse("run-list")).text
    PipelineRun.objects.update(status=ExecutionStatus.COMPLETED)
    assert "every 2s" not in pages.get(reverse("run-list")).text


def test_many_runs_are_paged_and_the_pages_keep_the_filter(
    pages: Client, template: RunTemplate, alice: User
) -> None:
    for _ in range(26):
        launch(template, alice)
    page = pages.get(reverse("run-list"), {"status": "initializing"})
    assert "status=initializing&amp;page=2" in page.text
    assert "Page 2 of 2" in pages.get(reverse("run-list"), {"page": "2"}).text


def test_pipelines_say_how_often_they_ran(pages: Client, template: RunTemplate, alice: User) -> None:
    launch(template, alice)
    assert "1 run<" in pages.get(reverse("pipeline-list")).text


def test_a_part_of_a_page_is_not_kept_for_the_page(pages: Client) -> None:
    for name in ("run-list", "run-template-list", "pipeline-list"):
        assert "HX-Request" in pages.get(reverse(name), headers={"HX-Request": "true"})["Vary"]
