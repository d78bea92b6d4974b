"""A template's owner shapes its form in a browser: what is typed is seen at once, and saved as a version."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Site, Visit
from tests.e2e.test_nested_form import violations
from tests.e2e.test_sdk import run_script

CODE = """
from typing import Annotated, Literal

from pydantic import Field

from zenweb import pipeline, step


@step
def learn(
    rate: Annotated[float, Field(gt=0, le=1)] = 0.1,
    kind: Literal["svm", "rf"] = "svm",
    note: str = "",
) -> str:
    return f"{kind} at {rate}: {note}"


@pipeline
def plain():
    learn()


plain.create_run_template(name="plain", update=True)
"""


@pytest.fixture(scope="module")
def template(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    run_script(CODE, tmp_path_factory.mktemp("plain"), site)
    return "plain"


def open_page(page: Page, template: str) -> None:
    page.reload()
    page.get_by_role("link", name=template, exact=True).click()
    page.get_by_role("link", name="Shape the form").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Shape the form")


def card(page: Page, key: str) -> None:
    page.locator(f'[id="card-{key}"] > summary').click()


def test_who_leaves_before_saving_finds_it_again(visit: Visit, template: str) -> None:
    page = visit.page
    open_page(page, template)
    page.get_by_role("button", name="Add a section").click()
    page.get_by_label("Title").first.fill("Half done")
    address = page.url
    visit.go("/runs/")
    page.goto(address)
    expect(page.locator("#kept-notice")).to_be_visible()
    expect(page.get_by_label("Title").first).to_have_value("Half done")
    page.get_by_role("button", name="Discard it").click()
    expect(page.locator("#kept-notice")).to_be_hidden()
    expect(page.get_by_role("button", name="Save as a new version")).to_be_visible()
    expect(page.locator("input[name=section]")).to_have_count(0)


def test_a_form_is_shaped_with_its_preview_and_saved(visit: Visit, template: str) -> None:
    page = visit.page
    open_page(page, template)
    page.get_by_role("button", name="Add a section").click()
    page.get_by_label("Title").fill("What matters")
    card(page, "learn.rate")
    rate, preview = page.locator('[id="card-learn.rate"]'), page.locator("#preview")
    rate.get_by_label("Section").select_option("New section 1")
    rate.get_by_label("Label").fill("Speed")
    rate.get_by_label("At most").fill("2")
    expect(preview).to_contain_text("The pipeline itself takes at most 1")
    rate.get_by_label("At most").fill("0.5")
    expect(preview.get_by_text("What matters")).to_be_visible()
    expect(preview.get_by_text("More than 0, at most 0.5")).to_be_visible()
    card(page, "learn.kind")
    kind = page.locator('[id="card-learn.kind"]')
    kind.get_by_label("Value to start from").select_option("rf")
    kind.get_by_label("Fixed").check()
    expect(preview.locator(".locked-value")).to_have_text("rf")
    assert violations(page) == []
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved as version")
    expect(page.get_by_label("Speed")).to_have_value("0.1")
    expect(page.locator(".locked-value")).to_have_text("rf")
    assert violations(page) == []


def test_it_works_without_scripts(browser: Browser, site: Site, cookies: object, template: str) -> None:
    context = browser.new_context(java_script_enabled=False, storage_state=cookies)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(site.url)
    open_page(page, template)
    card(page, "learn.note")
    note = page.locator('[id="card-learn.note"]')
    note.get_by_label("Label").fill("Remark")
    page.get_by_role("button", name="Preview").last.click()
    expect(page.locator("#preview").get_by_text("Remark")).to_be_visible()
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved as version")
    expect(page.get_by_role("heading", level=1)).to_have_text(template)
    expect(page.get_by_label("Remark")).to_be_visible()
    context.close()
