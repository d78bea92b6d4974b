"""A form is filled in once: a reload, a session that ended and a run that is run again keep what was typed."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit
from tests.e2e.test_first_run import RUN_LIMIT
from tests.e2e.test_nested_form import answer_with_nothing

RATE = "[name='steps.trainer.parameters.learning_rate']"
CSV = "input[type=file]"
TREES = "[name='steps.trainer.parameters.n_estimators']"


@pytest.fixture
def form(visit: Visit) -> Page:
    visit.page.get_by_role("link", name="training", exact=True).click()
    visit.page.locator(RATE).fill("0.25")
    return visit.page


def test_a_reload_keeps_what_was_typed_until_it_is_discarded(form: Page) -> None:
    form.reload()
    expect(form.locator(RATE)).to_have_value("0.25")
    form.get_by_role("button", name="Discard it").click()
    expect(form.locator("#kept-notice")).to_be_hidden()
    expect(form.locator(RATE)).to_have_value("0.1")


def test_a_failed_send_and_a_look_at_the_runs_lose_nothing(form: Page) -> None:
    address = form.url
    form.route("**/templates/*/", answer_with_nothing)
    form.get_by_role("button", name="Run", exact=True).click()
    form.unroute("**/templates/*/")
    form.goto(re.sub("/templates/.*", "/runs/", address))
    form.goto(address)
    expect(form.locator(RATE)).to_have_value("0.25")


def test_what_a_refused_form_was_corrected_to_survives_a_reload(form: Page) -> None:
    form.locator(RATE).fill("5")
    form.get_by_role("button", name="Run", exact=True).click()
    expect(form.get_by_role("alert")).to_be_visible()
    form.locator(RATE).fill("0.5")
    form.reload()
    expect(form.locator(RATE)).to_have_value("0.5")


def test_a_reload_keeps_the_text_of_the_editor(form: Page) -> None:
    form.goto(f"{form.url}?view=yaml")
    form.get_by_role("textbox", name="Run configuration").click()
    form.keyboard.press("Control+End")
    form.keyboard.type("tags: [mine]")
    form.reload()
    expect(form.locator(".cm-content")).to_contain_text("tags: [mine]")
    assert form.locator("#id_yaml").input_value().endswith("tags: [mine]")
    expect(form.locator("#kept-notice")).to_be_visible()


def test_a_session_that_ended_costs_a_password_and_nothing_else(form: Page, visit: Visit) -> None:
    address = form.url
    form.context.clear_cookies(name="sessionid")
    form.get_by_role("button", name="Run", exact=True).click()
    form.get_by_label("Username").fill(visit.site.username)
    form.get_by_label("Password").fill(visit.site.password)
    form.get_by_role("button", name="Sign in").click()
    form.wait_for_url(address)
    expect(form.get_by_text("What you had filled in is here again")).to_be_visible()
    expect(form.locator(RATE)).to_have_value("0.25")


def test_the_values_are_copied_beside_the_form_without_leaving_it(form: Page) -> None:
    form.context.grant_permissions(["clipboard-read", "clipboard-write"])
    form.get_by_role("button", name="Copy link or code").click()
    form.get_by_role("button", name="Copy link", exact=True).click()
    expect(form.get_by_text("Copied")).to_be_visible()
    link = form.evaluate("navigator.clipboard.readText()")
    assert link.endswith("?steps.trainer.parameters.learning_rate=0.25")
    form.locator(RATE).fill("0.5")
    form.goto(link)
    expect(form.locator(RATE)).to_have_value("0.25")


def choose_a_file(form: Page) -> None:
    content = b"total,target\n1,2\n"
    form.locator(CSV).set_input_files({"name": "own.csv", "mimeType": "text/csv", "buffer": content})


def test_a_file_that_was_just_chosen_is_in_what_is_copied(form: Page) -> None:
    choose_a_file(form)
    form.get_by_role("button", name="Copy link or code").click()
    expect(form.locator("#copies")).to_contain_text("artifact_version")
    assert "steps.loader.parameters.csv_path=%7B" in form.get_by_label("Link").input_value()


def test_a_file_that_was_just_chosen_is_looked_at_when_it_is_sent(form: Page) -> None:
    choose_a_file(form)
    expect(form.locator("#preflight")).to_contain_text("own.csv is not sent yet.")
    form.get_by_role("button", name="Send it and look").click()
    expect(form.locator("#preflight")).to_contain_text(re.compile("It starts at once|comes? from the cache"))
    form.locator(TREES).fill("7")
    expect(form.locator("#preflight")).to_contain_text("own.csv is not sent yet.")


def test_what_is_changed_of_a_run_is_marked_at_its_field_and_a_launch_forgets_what_was_typed(
    form: Page,
) -> None:
    template = form.url
    form.locator(TREES).fill("5")
    form.get_by_role("button", name="Run", exact=True).click()
    form.wait_for_url(re.compile("/runs/"))
    expect(form.locator("#run-status")).to_contain_text("Completed", timeout=RUN_LIMIT)
    run = form.url
    form.goto(template)
    expect(form.locator(RATE)).to_have_value("0.1")
    form.goto(run)
    form.get_by_role("link", name="Run again with these values").click()
    expect(form.locator("#comparison")).to_contain_text("The same values.")
    form.locator(RATE).fill("0.5")
    expect(form.locator(".field-was")).to_have_text("Changed; it was: 0.25")
    form.locator(RATE).fill("0.25")
    expect(form.locator(".field-was")).to_have_count(0)
