"""Pages hold whatever people name and print, on a small phone as on a desk."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Site, Visit
from tests.e2e.test_first_run import RUN_LIMIT
from tests.e2e.test_sdk import run_script

LONG = "w" * 220
CODE = f"""
from typing import Annotated

from zenweb import log_metadata, pipeline, step


@step
def {LONG[:120]}({LONG[:60]}: str = "{LONG}") -> Annotated[dict[str, str], "{LONG[:90]}"]:
    log_metadata({{"{LONG[:80]}": "{LONG}"}})
    print("{LONG}" * 3)
    return {{"{LONG[:80]}": "{LONG}"}}


@step
def fails(before: dict[str, str], path: str = "/{LONG}") -> None:
    raise ValueError("{LONG}" * 3)


@pipeline
def {LONG[:100]}():
    fails({LONG[:120]}())


{LONG[:100]}.create_run_template(name="{LONG[:100]}")
"""


@pytest.fixture
def long_words(site: Site, tmp_path: Path) -> str:
    """The name of a template full of words that are longer than any page is wide."""
    run_script(CODE, tmp_path, site)
    return LONG[:100]


def test_no_word_is_too_long_for_a_page(visit: Visit, long_words: str) -> None:
    page = visit.page
    page.reload()
    page.get_by_role("link", name=long_words, exact=True).click()
    template = page.url.removeprefix(visit.site.url)
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    expect(page.locator("#run-status")).to_contain_text("Failed", timeout=RUN_LIMIT)
    run = page.url.removeprefix(visit.site.url)
    for width in (360, 800, 1280):
        page.set_viewport_size({"width": width, "height": 700})
        for path in (
            run,
            f"{run}repair",
            template,
            "/runs/",
            "/templates/",
            "/pipelines/",
            "/account/",
            "/device/",
        ):
            visit.go(path)
            page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_whoever_is_signed_in_finds_their_way_on_a_phone_and_from_nowhere(visit: Visit) -> None:
    page = visit.page
    page.set_viewport_size({"width": 360, "height": 700})
    admin = page.get_by_role("navigation").get_by_role("link", name="Admin").bounding_box()
    assert admin is not None
    assert admin["x"] + admin["width"] <= 360
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.locator("summary", has_text="account menu")).to_have_accessible_name("admin: account menu")
    answer = page.goto(f"{visit.site.url}/nothing/here")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("navigation").get_by_role("link", name="Runs")).to_be_visible()
    visit.complaints.clear()  # the browser calls a 404 a failure to load
    visit.go("/admin/")
    expect(page.locator("link[rel=icon]")).to_have_attribute("href", re.compile("mark.*svg"))
