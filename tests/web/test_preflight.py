"""The panel above *Run* that says what would happen."""

import pytest
from django.test import Client

from runs_app.models import PipelineRun, Worker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.web.test_running_a_template import RATE
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus

HTMX = {"HX-Request": "true"}


def look(pages: Client, template: RunTemplate, typed: dict[str, str]) -> str:
    address = template.get_absolute_url()
    return pages.post(address, typed | {"do": "look-ahead"}, headers=HTMX).text


@pytest.fixture
def pages(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=2)


def test_the_panel_says_what_would_happen_and_starts_nothing(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    panel = look(pages, template, {RATE: "0.5"})
    assert "<html" not in panel
    assert "It starts at once." in panel
    assert "it has not completed before" in panel
    assert not PipelineRun.objects.exists()


def test_nobody_being_there_to_run_it_is_said_before_it_is_run(pages: Client, template: RunTemplate) -> None:
    assert "No worker has served queue default yet." in look(pages, template, {RATE: "0.5"})


def test_wrong_values_are_left_to_their_fields(pages: Client, template: RunTemplate) -> None:
    panel = look(pages, template, {RATE: "half"})
    assert "told when all values are right" in panel
    assert "Enter a number" not in panel


def test_what_differs_from_the_last_good_run_is_listed_with_links_to_the_fields(
    pages: Client, template: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(template, alice, {"steps": {"trainer": {"parameters": {"learning_rate": 0.25}}}})
    PipelineRun.objects.update(status=ExecutionStatus.COMPLETED)
    panel = look(pages, template, {RATE: "0.5"})
    assert "1 value differs from" in panel
    assert f'href="#id_{RATE}"' in panel
    assert "<del>0.25</del> <ins>0.5</ins>" in panel
    assert "The same values as" in look(pages, template, {RATE: "0.25"})


def test_without_javascript_a_button_shows_it_with_the_whole_form(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    page = pages.get(template.get_absolute_url()).text
    assert 'name="do" value="look-ahead"' in page
    shown = pages.post(template.get_absolute_url(), {RATE: "0.5", "do": "look-ahead"})
    assert shown.status_code == 200
    assert "It starts at once." in shown.text
    assert f'name="{RATE}" value="0.5"' in shown.text
    assert not PipelineRun.objects.exists()


def test_of_a_file_that_is_not_sent_yet_nothing_is_foretold(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    panel = look(pages, template, {RATE: "0.5", "unsent": "new <b>.csv"})
    assert "new &lt;b&gt;.csv is not sent yet." in panel
    assert "Send it and look" in panel
    assert "It starts at once." not in panel


def test_the_yaml_view_has_it_too(pages: Client, template: RunTemplate, worker: Worker) -> None:
    text = "steps: {trainer: {parameters: {learning_rate: 0.5}}}"
    assert "It starts at once." in look(pages, template, {"view": "yaml", "yaml": text})
    assert "told when all values are right" in look(pages, template, {"view": "yaml", "yaml": "steps: ["})


def test_what_is_asked_about_first_is_told_in_the_words_of_the_form(
    pages: Client, stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    chosen = make_template(freeze("chosen.table_pipeline", alice, stacks["celery"]), alice, "tables")
    panel = look(pages, chosen, {"steps.load.parameters.table": "eu_orders"})
    assert "“Table” (Load): Its choices are checked first." in panel
    assert "/steps/load" not in panel
    assert "starts at once" not in panel


def test_what_has_no_effect_is_told_in_the_words_of_the_form_before_and_after(
    pages: Client, template: RunTemplate, alice: User, worker: Worker
) -> None:
    said = "steps: {trainer: {settings: {kubernetes: {pod: x}}}}"
    assert "Trainer, settings, kubernetes: accepted" in look(pages, template, {"view": "yaml", "yaml": said})
    run = launch(template, alice, {"steps": {"trainer": {"settings": {"kubernetes": {"pod": "x"}}}}})
    assert run.warnings == ["/steps/trainer/settings/kubernetes: accepted, no effect"]
    assert "Trainer, settings, kubernetes: accepted" in pages.get(run.get_absolute_url()).text
