"""Choices that a worker tells, one depending on another, in a browser: with scripts, without, and judged by axe."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Site, Visit, sign_in
from tests.e2e.test_first_run import wait_for_end
from tests.e2e.test_nested_form import open_form, violations
from tests.e2e.test_sdk import run_script

CODE = """
import time
from typing import Annotated, Literal

from zenweb import Choices, pipeline, step


def list_tables(region: str):
    if region == "slow":
        time.sleep(3)
    if region == "broken":
        raise ConnectionError("the warehouse is down")
    if region == "large":
        return {f"t{number}": f"Table {number}" for number in range(1000)}
    return {f"{region}_orders": "Orders", f"{region}_returns": "Returns"}


def list_columns(table: str):
    return [f"{table}_id", f"{table}_day"]


@step
def load(
    region: Literal["eu", "us", "slow", "broken", "large"] = "eu",
    table: Annotated[str, Choices(list_tables, depends_on=["region"])] = "eu_orders",
    note: str = "",
) -> str:
    return f"{table} {note}"


@step
def pick(loaded: str, columns: list[Annotated[str, Choices(list_columns, depends_on=["load.table"])]] = []) -> str:
    return f"{loaded} {columns}"


@pipeline
def chosen():
    pick(load())


chosen.create_run_template(name="chosen", update=True)
"""


@pytest.fixture(scope="module")
def template(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    run_script(CODE, tmp_path_factory.mktemp("chosen"), site)
    return "chosen"


PATIENCE = 30_000  # milliseconds: the first question waits for the code to be imported


def table_field(page: Page) -> Locator:
    return page.locator("[id='div_id_steps.load.parameters.table']")


def run(page: Page) -> None:
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    wait_for_end(page)


def test_choices_follow_what_they_depend_on(visit: Visit, template: str) -> None:
    page = visit.page
    page.reload()
    open_form(page, template)
    table = page.get_by_role("combobox", name="Table", exact=True)
    expect(table).to_have_value("eu_orders", timeout=PATIENCE)
    expect(page.get_by_label("eu_orders_day")).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Region").select_option("us")
    expect(table_field(page)).to_contain_text("“eu_orders” is not offered: choose another.", timeout=PATIENCE)
    table.select_option("us_returns")
    expect(table_field(page)).not_to_contain_text("is not offered", timeout=PATIENCE)
    page.get_by_label("us_returns_day").check()
    run(page)
    expect(page.locator("main")).to_contain_text("us_returns ['us_returns_day']", timeout=PATIENCE)
    expect(page.locator("main")).to_contain_text(
        "“Returns” is among the 2 choices there were.", timeout=PATIENCE
    )


def test_what_is_typed_while_it_asks_is_kept(visit: Visit, template: str) -> None:
    page = visit.page
    page.reload()
    open_form(page, template)
    page.get_by_label("Region").select_option("slow")
    page.get_by_label("Note").fill("written meanwhile")
    page.get_by_label("Region").focus()
    expect(table_field(page)).to_contain_text("Asking for the choices…", timeout=PATIENCE)
    expect(table_field(page)).to_contain_text("“eu_orders” is not offered: choose another.", timeout=PATIENCE)
    expect(page.get_by_label("Note")).to_have_value("written meanwhile", timeout=PATIENCE)


def test_of_many_one_is_found_and_run(visit: Visit, template: str) -> None:
    page = visit.page
    page.reload()
    open_form(page, template)
    page.get_by_label("Region").select_option("large")
    search = page.get_by_label("Search Table")
    search.fill("table 777")
    expect(table_field(page)).to_contain_text("1 of 1,000 have this in their names.", timeout=PATIENCE)
    search.press("Enter")
    page.get_by_label("Table 777").check()
    expect(page.get_by_label("t777_id")).to_be_visible(timeout=PATIENCE)
    run(page)
    expect(page.locator("main")).to_contain_text("t777", timeout=PATIENCE)


def test_a_failure_is_told_and_a_wrong_value_refused(visit: Visit, template: str) -> None:
    page = visit.page
    page.reload()
    open_form(page, template)
    page.get_by_label("Region").select_option("broken")
    expect(table_field(page)).to_contain_text("ConnectionError: the warehouse is down.", timeout=PATIENCE)
    assert violations(page) == []
    page.get_by_role("button", name="Try again for Table").click()
    expect(table_field(page)).to_contain_text("ConnectionError: the warehouse is down.", timeout=PATIENCE)
    page.get_by_label("Region").select_option("us")
    expect(table_field(page)).to_contain_text("is not offered", timeout=PATIENCE)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text(
        "“eu_orders” is not among the choices.", timeout=PATIENCE
    )
    assert violations(page) == []
    page.get_by_label("Region").select_option("large")
    expect(page.get_by_label("Search Table")).to_be_visible(timeout=PATIENCE)
    assert violations(page) == []
    visit.complaints.clear()  # the refused form was answered 422


def test_the_same_without_scripts(browser: Browser, site: Site, template: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = sign_in(context, site)
    open_form(page, template)
    page.get_by_label("Region").select_option("large")
    page.get_by_role("button", name=re.compile("^Show .* for Table$")).click()
    page.get_by_label("Search Table").fill("table 42")
    page.get_by_role("button", name="Find Table").click()
    page.get_by_label("Table 42", exact=False).first.check()
    run(page)
    expect(page.locator("main")).to_contain_text("t42", timeout=PATIENCE)
    context.close()
