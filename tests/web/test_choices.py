"""The form of a template whose values are chosen among what a worker tells: asked for, shown, kept and refused."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from runs_app import preparations
from runs_app.models import PipelineRun, Preparation, Worker
from runs_app.preparations import Option
from templates_app.models import RunTemplate, Stack
from templates_app.services import curate_run_template
from tests.factories import freeze, make_template
from tests.runs.test_choices import answer
from zenweb.accounts.models import User

TABLE = "steps.load.parameters.table"
REGION = "steps.load.parameters.region"
VIEW = "steps.load.parameters.view"
LIMIT = "steps.load.parameters.limit"
COLUMNS = "steps.pick.parameters.columns"
MANY: list[Option] = [(f"t{number}", f"Table {number}") for number in range(300)]


@pytest.fixture
def template(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("chosen.table_pipeline", alice, stacks["celery"]), alice, "tables")


@pytest.fixture
def columns(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("chosen.chosen_pipeline", alice, stacks["celery"]), alice, "columns")


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


@pytest.fixture
def pages(client: Client, bob: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Nobody answers but the tests, so nobody waits."""
    monkeypatch.setattr("runs_app.launching.CHOICES_WAIT", 0.0)
    monkeypatch.setattr("runs_app.launching.FIRST_WAIT", 0.0)
    client.force_login(bob)
    return client


def know(pages: Client, template: RunTemplate, worker: Worker, **answers: list[Option]) -> None:
    """Open the page, which asks, and answer what it asked."""
    pages.get(template.get_absolute_url())
    while (claimed := preparations.claim(worker, ["default"])) is not None:
        preparations.record_answer(claimed, answers.get(claimed.parameter, [(1, "one")]), "")


def field(page: Any, name: str) -> str:
    found = re.search(
        rf'<div id="div_id_{re.escape(name)}".*?<div class="field-help".*?</div>\s*</div>',
        page.text,
        re.DOTALL,
    )
    assert found, page.text
    return found.group()


def send(pages: Client, template: RunTemplate, **values: Any) -> Any:
    return pages.post(template.get_absolute_url(), values)


def test_a_page_shows_that_it_asks_and_keeps_what_it_starts_from(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    shown = field(pages.get(template.get_absolute_url()), TABLE)
    assert "Asking for the choices…" in shown
    assert f'<input type="hidden" name="{TABLE}" value="eu_orders">' in shown
    assert f'data-depends="{REGION}"' in shown
    assert "data-asking" in shown
    assert f'value="ask - {TABLE}"' in shown  # for who has no scripts
    assert 'type="text"' not in shown
    assert Preparation.objects.filter(parameter="table").get().arguments == [["region", "eu"]]


def test_few_choices_are_a_select(pages: Client, template: RunTemplate, worker: Worker) -> None:
    know(
        pages,
        template,
        worker,
        table=[("eu_orders", "Orders"), ("eu_returns", "Returns")],
        limit=[(10, "ten")],
    )
    page = pages.get(template.get_absolute_url())
    assert '<option value="eu_orders" selected>Orders</option>' in field(page, TABLE)
    assert '<option value="">Not set</option>' in field(page, LIMIT)
    assert "data-asking" not in page.text


def test_what_is_chosen_runs_with_the_type_of_its_parameter(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    know(pages, template, worker, table=[("eu_returns", "Returns")], limit=[(10, "ten")])
    send(pages, template, **{TABLE: "eu_returns", LIMIT: "10"})
    parameters = PipelineRun.objects.get().parameters["load"]
    assert (parameters["table"], parameters["limit"], parameters["view"]) == ("eu_returns", 10, None)


def test_a_value_that_is_not_offered_any_more_is_shown_as_that_and_refused(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    know(pages, template, worker, table=[("eu_returns", "Returns")])
    shown = field(pages.get(template.get_absolute_url()), TABLE)
    assert '<option value="eu_orders" selected>eu_orders (not offered)</option>' in shown
    assert "“eu_orders” is not offered: choose another." in shown
    page = send(pages, template, **{TABLE: "eu_orders"})
    assert page.status_code == 422
    assert "“eu_orders” is not among the choices." in field(page, TABLE)
    assert "selected>eu_orders" in field(page, TABLE)
    assert not PipelineRun.objects.exists()


def test_a_check_while_one_types_says_the_same(pages: Client, template: RunTemplate, worker: Worker) -> None:
    know(pages, template, worker, table=[("eu_returns", "Returns")])
    page = send(pages, template, **{TABLE: "eu_orders", "do": "check"})
    assert "“eu_orders” is not among the choices." in field(page, TABLE)


def test_other_values_are_asked_for_anew_and_what_was_chosen_is_kept(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    know(pages, template, worker, table=[("eu_orders", "Orders")])
    shown = field(send(pages, template, **{REGION: "us", TABLE: "eu_orders", "do": "show"}), TABLE)
    assert "Asking for the choices…" in shown
    assert 'value="eu_orders"' in shown
    asked = Preparation.objects.filter(parameter="table", status="waiting").get()
    assert asked.arguments == [["region", "us"]]


def test_choices_may_depend_on_choices_of_other_steps(
    pages: Client, columns: RunTemplate, worker: Worker
) -> None:
    send(pages, columns, **{TABLE: "eu_returns", "steps.pick.parameters.size": "3", "do": "show"})
    asked = Preparation.objects.get(parameter="columns")
    assert asked.arguments == [["load.table", "eu_returns"], ["size", 3]]


def test_choices_that_depend_on_choices_are_asked_for_with_what_those_depend_on(
    pages: Client, columns: RunTemplate, worker: Worker
) -> None:
    tables: list[Option] = [("eu_orders", "Orders")]
    know(pages, columns, worker, table=tables, view=tables)
    values = {REGION: "us", TABLE: "us_orders", "do": "look"}
    send(pages, columns, **values)
    while (claimed := preparations.claim(worker, ["default"])) is not None:
        preparations.record_answer(claimed, [("us_orders", "Orders of the US")], "")
    shown = field(send(pages, columns, **values), COLUMNS)
    assert "give that a valid value first" not in shown
    assert f'data-depends="{REGION}|{TABLE}|steps.pick.parameters.size"' in shown


def test_markup_in_a_label_is_text(pages: Client, template: RunTemplate, worker: Worker) -> None:
    evil = "<script>alert(1)</script>"
    know(pages, template, worker, table=[("eu_orders", evil)], limit=[*((n, evil) for n in range(60))])
    page = pages.get(template.get_absolute_url()).text
    assert evil not in page
    assert "&lt;script&gt;alert(1)" in page


def test_an_empty_text_is_something_else_than_not_set(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    offered: list[Option] = [("", ""), (" ", " "), ('"', "Quote"), ("x", "X")]
    know(pages, template, worker, view=offered, table=[("eu_orders", "Orders")])
    shown = field(pages.get(template.get_absolute_url()), VIEW)
    options = re.findall('<option value="([^"]*)"[^>]*>([^<]*)<', shown)
    assert [label for _, label in options] == ["Not set", "Empty text", "“ ”", "Quote", "X"]
    for (text, _), value in zip(options, [None, "", " ", '"', "x"], strict=True):
        send(pages, template, **{VIEW: unescape(text), TABLE: "eu_orders"})
        assert PipelineRun.objects.latest("created").parameters["load"]["view"] == value


def test_the_default_has_the_name_that_it_is_offered_with(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    know(pages, template, worker, table=[("eu_orders", "Orders of Europe")])
    assert "Default: Orders of Europe" in field(pages.get(template.get_absolute_url()), TABLE)


def test_of_a_hidden_choice_it_is_said_where_it_can_be_given(
    pages: Client, template: RunTemplate, alice: User, worker: Worker
) -> None:
    know(pages, template, worker, table=[("eu_returns", "Returns")])
    curation = {"parameters": {"load.table": {"hidden": True}}}
    curate_run_template(actor=alice, template=template, curation=curation)
    refused = send(pages, template, **{REGION: "eu"})
    assert refused.status_code == 422
    [error] = refused.context["form"].non_field_errors()
    assert error.startswith("“Table” (Load): “eu_orders” is not among the choices.")
    assert error.endswith("The owner of this template has hidden it: it can be given as YAML.")


def test_any_number_of_several_is_ticked(pages: Client, columns: RunTemplate, worker: Worker) -> None:
    know(pages, columns, worker, columns=[("a", "A"), ("b", "B")], table=[("eu_orders", "Orders")])
    shown = field(pages.get(columns.get_absolute_url()), COLUMNS)
    assert len(re.findall('type="checkbox"', shown)) == 2
    send(pages, columns, **{COLUMNS: ["", "b", "a"], TABLE: "eu_orders"})
    assert PipelineRun.objects.get().parameters["pick"]["columns"] == ["b", "a"]


def test_of_many_some_are_shown_and_others_found(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    know(pages, template, worker, table=[*MANY, ("eu_orders", "Orders")])
    shown = field(pages.get(template.get_absolute_url()), TABLE)
    assert "There are 301. 21 are shown: search for others." in shown
    assert len(re.findall('type="radio"', shown)) == 21
    assert re.search('value="eu_orders"[^>]* checked>', shown)
    found = field(
        send(
            pages, template, **{TABLE: "eu_orders", f"{TABLE}.~search": "table 29", "do": f"show - {TABLE}"}
        ),
        TABLE,
    )
    assert "13 of 301 have this in their names." in found
    assert re.findall('type="radio" [^>]*value="([^"]*)"', found)[:3] == ["eu_orders", "t29", "t129"]


def test_a_provider_that_fails_says_so_and_is_no_text_input(
    pages: Client, template: RunTemplate, worker: Worker, alice: User
) -> None:
    pages.get(template.get_absolute_url())
    while (claimed := preparations.claim(worker, ["default"])) is not None:
        preparations.record_failure(claimed, "The warehouse is down.", "the key is sesame")
    page = pages.get(template.get_absolute_url())
    shown = field(page, TABLE)
    assert "The warehouse is down." in shown
    assert "Try again" in shown
    assert f'<input type="hidden" name="{TABLE}" value="eu_orders">' in shown
    assert 'type="text"' not in shown
    assert "sesame" not in page.text
    pages.force_login(alice)
    assert "the key is sesame" in pages.get(template.get_absolute_url()).text


def test_trying_again_asks_again(pages: Client, template: RunTemplate, worker: Worker) -> None:
    pages.get(template.get_absolute_url())
    while (claimed := preparations.claim(worker, ["default"])) is not None:
        preparations.record_failure(claimed, "The warehouse is down.", "")
    send(pages, template, **{TABLE: "eu_orders", "do": f"ask - {TABLE}"})
    assert [found.parameter for found in Preparation.objects.filter(status="waiting")] == ["table"]


def test_without_a_worker_the_form_says_so_and_can_be_sent(pages: Client, template: RunTemplate) -> None:
    page = pages.get(template.get_absolute_url())
    assert "No worker has served queue default yet." in field(page, TABLE)
    send(pages, template, **{TABLE: "anything"})
    run = PipelineRun.objects.get()
    assert (run.status, run.parameters["load"]["table"]) == ("initializing", "anything")


def test_a_run_that_was_refused_leads_back_to_its_field(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    send(pages, template, **{TABLE: "order"})
    answer(worker, [("orders", "Orders")])
    run = PipelineRun.objects.get()
    page = pages.get(f"{template.get_absolute_url()}?from={run.pk}")
    assert "Run 1 failed with this value: “order” is not among the choices." in field(page, TABLE)
    assert "order (not offered)" in field(page, TABLE)


def test_a_run_shows_what_was_chosen_in_the_words_it_was_offered_with(
    pages: Client, template: RunTemplate, worker: Worker
) -> None:
    know(pages, template, worker, table=[("eu_orders", "Orders of the EU")], limit=[(10, "ten")])
    send(pages, template, **{TABLE: "eu_orders", LIMIT: "10"})
    page = pages.get(PipelineRun.objects.get().get_absolute_url()).text
    assert '<dd class="value">Orders of the EU</dd>' in page
    assert '<dd class="value">ten</dd>' in page


def test_a_repair_offers_choices_too(pages: Client, template: RunTemplate, worker: Worker) -> None:
    send(pages, template, **{TABLE: "order"})
    answer(worker, [("orders", "Orders")])
    run = PipelineRun.objects.get()
    page = pages.get(f"/runs/{run.pk}/repair")
    assert '<option value="orders">Orders</option>' in field(page, TABLE)
