"""The editor beside the form, and the way from a run to a template and to its next run, in a real browser."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit
from tests.e2e.test_first_run import open_training, wait_for_end


def open_editor(page: Page) -> None:
    page.get_by_role("button", name="YAML", exact=True).click()
    expect(page.locator(".cm-editor")).to_be_visible()
    expect(page.locator("#id_yaml")).to_be_hidden()


def type_at_the_end(page: Page, text: str) -> None:
    expect(page.locator(".cm-editor")).to_be_visible()  # before it opens, the box of that name is another one
    page.get_by_role("textbox", name="Run configuration").click()
    page.keyboard.press("Control+End")
    page.keyboard.type(text)


def test_values_go_from_the_form_to_yaml_and_back_and_run(visit: Visit) -> None:
    page, status = visit.page, visit.page.locator("#yaml-status")
    open_training(page)
    page.get_by_label("Learning rate").fill("0.2")
    open_editor(page)
    expect(status).to_have_text("Valid: this can be run.")
    assert page.locator("#id_yaml").input_value() == (
        "steps:\n  trainer:\n    parameters:\n      learning_rate: 0.2\n"
    )

    type_at_the_end(page, "tags: [mine]\nexecution_mod")
    page.get_by_role("option", name="execution_mode").click()
    page.keyboard.type("nonsense")
    page.keyboard.press("Escape")
    expect(status).to_have_text("1 thing to correct")
    page.locator(".cm-lintRange-error").hover()
    expect(page.locator(".cm-tooltip-lint")).to_contain_text("/execution_mode")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Line 6: execution_mode")
    page.get_by_role("link", name="Line 6").click()
    page.keyboard.press("Control+Shift+k")
    expect(status).to_have_text("Valid: this can be run.")

    page.get_by_role("button", name="Form", exact=True).click()
    expect(page.get_by_label("Learning rate")).to_have_value("0.2")
    expect(page.locator("#rest")).to_contain_text("tags")
    page.get_by_label("Learning rate").fill("0.3")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    wait_for_end(page)
    expect(page.locator("#about")).to_contain_text("mine")
    expect(page.locator("#parameters")).to_contain_text("0.3")


def test_keys_and_values_are_completed_from_the_schema(visit: Visit) -> None:
    page = visit.page
    open_training(page)
    open_editor(page)
    type_at_the_end(page, "steps:\n")
    page.keyboard.press("Control+Space")
    page.get_by_role("option", name="trainer").click()
    page.keyboard.type("\nparam")
    page.get_by_role("option", name="parameters").click()
    page.keyboard.type("\nmodel_t")
    page.get_by_role("option", name="model_type").click()
    page.keyboard.press("Control+Space")
    page.get_by_role("option", name="random forest").click()
    expect(page.locator("#yaml-status")).to_have_text("Valid: this can be run.")
    assert (
        page.locator("#id_yaml")
        .input_value()
        .endswith("steps:\n  trainer:\n    parameters:\n      model_type: random forest")
    )


def test_a_file_fills_the_editor_and_undo_brings_the_text_back(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    (tmp_path / "run.yaml").write_text("tags: [from a file]\n")
    open_training(page)
    open_editor(page)
    type_at_the_end(page, "tags: [typed]\n")
    page.get_by_label("file: it replaces").set_input_files(tmp_path / "run.yaml")
    expect(page.locator(".cm-content")).to_contain_text("from a file")
    assert page.locator("#id_yaml").input_value() == "tags: [from a file]\n"
    page.keyboard.press("Control+z")
    expect(page.locator(".cm-content")).to_contain_text("typed")


def test_the_editor_is_left_with_the_tab_key(visit: Visit) -> None:
    page = visit.page
    open_training(page)
    open_editor(page)
    page.get_by_role("textbox", name="Run configuration").click()
    page.keyboard.press("Tab")
    expect(page.get_by_label("file: it replaces")).to_be_focused()


def test_the_editor_fits_a_phone(visit: Visit) -> None:
    page = visit.page
    open_training(page)
    open_editor(page)
    page.set_viewport_size({"width": 360, "height": 700})
    type_at_the_end(page, f"tags: [{'w' * 200}]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_javascript_the_text_area_does_the_same(visit: Visit) -> None:
    browser = visit.page.context.browser
    assert browser is not None
    with browser.new_context(
        java_script_enabled=False, storage_state=visit.page.context.storage_state()
    ) as context:
        page = context.new_page()
        page.goto(visit.site.url)
        open_training(page)
        page.get_by_label("Learning rate").fill("0.2")
        page.get_by_role("button", name="YAML", exact=True).click()
        text = page.get_by_role("textbox", name="Run configuration")
        text.fill(text.input_value() + "run: mine\n")
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("Line 5: run")
        text.fill(text.input_value().replace("run: mine", "tags: [mine]"))
        page.get_by_role("button", name="Form", exact=True).click()
        expect(page.get_by_label("Learning rate")).to_have_value("0.2")
        expect(page.locator("#rest")).to_contain_text("tags")


def test_a_run_becomes_a_template_that_runs_on_the_same_stack(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="quality report", exact=True).click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    wait_for_end(page)
    page.get_by_role("link", name="New Template").click()
    page.get_by_role("textbox", name="Name").fill("report of mine")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("report of mine")

    page.get_by_role("link", name="Pipelines").click()
    page.get_by_role("link", name="Run a Pipeline").click()
    page.get_by_role("link", name="YAML of report of mine").click()
    type_at_the_end(page, "tags: [on the same stack]\n")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    wait_for_end(page)
    expect(page.locator("#about")).to_contain_text("celery")
    expect(page.locator("#about")).to_contain_text("on the same stack")
