"""What a person who does not program does first, in a real browser against the real demo."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Site, Visit, sign_in

RUN_LIMIT = 60_000  # milliseconds


def open_training(page: Page) -> None:
    page.get_by_role("link", name="training", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("training")


def start_training(page: Page, rate: str) -> None:
    page.get_by_label("Learning rate").fill(rate)
    page.get_by_role("button", name="Run", exact=True).click()


def wait_for_end(page: Page) -> None:
    expect(page.locator("#run-status")).to_contain_text("Completed", timeout=RUN_LIMIT)


def test_a_wrong_value_is_corrected_and_the_run_followed_to_its_accuracy(visit: Visit) -> None:
    page = visit.page
    open_training(page)
    start_training(page, "2")
    rate = page.get_by_label("Learning rate")
    expect(rate).to_have_value("2")
    expect(page.locator(".field", has=rate)).to_contain_text("This must be at most 1.")
    expect(page.get_by_role("alert")).to_contain_text("1 thing to correct")

    start_training(page, "0.1")
    page.wait_for_url(re.compile("/runs/"))
    page.evaluate("window.isTheSamePage = true")
    wait_for_end(page)
    assert page.evaluate("window.isTheSamePage"), "the page was loaded again instead of following"
    expect(page.get_by_role("row", name=re.compile("^Accuracy"))).to_contain_text(re.compile(r"0\.9\d"))
    expect(page.get_by_role("img", name=re.compile("Confusion matrix"))).to_be_visible()
    expect(page.locator("#run-live")).not_to_have_attribute("hx-trigger", re.compile(".*"))


def test_what_one_has_opened_or_closed_stays_so_while_the_run_goes_on(visit: Visit) -> None:
    page = visit.page
    open_training(page)
    start_training(page, "0.2")
    step = page.locator("#steps details[id^=details]", has_text="Evaluator")
    step.locator("summary").first.click()
    as_left = step.evaluate("details => details.open")
    wait_for_end(page)
    assert step.evaluate("details => details.open") is as_left
    expect(step.locator("pre.log")).to_contain_text("Accuracy", ignore_case=True)


def test_the_search_refines_the_list_while_typing(visit: Visit) -> None:
    visit.page.get_by_label("Search templates").fill("quality")
    expect(visit.page.get_by_role("link", name="training", exact=True)).to_have_count(0)
    expect(visit.page.get_by_role("link", name="quality report", exact=True)).to_be_visible()
    expect(visit.page).to_have_url(re.compile(r"\?q=quality"))


def test_everything_works_without_scripts(browser: Browser, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = sign_in(context, site)
    page.get_by_label("Search templates").fill("training")
    page.get_by_role("button", name="Search").click()
    open_training(page)
    start_training(page, "0.3")
    page.wait_for_url(re.compile("/runs/"))
    wait_for_end(page)
    context.close()


def test_no_page_is_wider_than_a_small_phone(visit: Visit) -> None:
    page = visit.page
    page.set_viewport_size({"width": 360, "height": 700})
    open_training(page)
    pages = ["/templates/", "/runs/", "/pipelines/", page.url.removeprefix(visit.site.url)]
    visit.go("/runs/")
    page.locator("a.row-title").first.click()
    pages.append(page.url.removeprefix(visit.site.url))
    for path in pages:
        visit.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_going_back_and_running_again_is_another_run(visit: Visit) -> None:
    page = visit.page
    open_training(page)
    start_training(page, "0.4")
    page.wait_for_url(re.compile("/runs/"))
    first = page.url
    page.go_back()
    expect(page.get_by_label("Learning rate")).to_have_value("0.4")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    assert page.url != first


def test_filters_are_in_the_address_and_outlive_back_and_reload(visit: Visit) -> None:
    """“Back” may take a page from the browser's cache, where the part that was fetched last is under this address."""
    page = visit.page
    open_training(page)
    start_training(page, "0.6")
    page.wait_for_url(re.compile("/runs/"))
    wait_for_end(page)
    visit.go("/runs/")
    page.get_by_label("Status").select_option("completed")
    expect(page).to_have_url(re.compile(r"status=completed"))
    page.locator("a.row-title").first.click()
    expect(page.locator("#run-status")).to_be_visible()
    for come_again in (page.go_back, page.reload):
        come_again()
        expect(page).to_have_url(re.compile(r"status=completed"))
        expect(page.get_by_label("Status")).to_have_value("completed")
        expect(page.get_by_role("heading", level=1)).to_have_text("Runs")


def test_a_search_for_templates_outlives_back_and_reload(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("Search templates").fill("quality")
    expect(page).to_have_url(re.compile(r"\?q=quality"))
    page.get_by_role("link", name="quality report", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("quality report")
    for come_again in (page.go_back, page.reload):
        come_again()
        expect(page.get_by_label("Search templates")).to_have_value("quality")
        expect(page.get_by_role("link", name="training", exact=True)).to_have_count(0)
