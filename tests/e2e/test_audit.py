"""An administrator looks at what was done, in the browser, and takes it along."""

import csv
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import Visit


def test_what_was_done_is_found_read_and_saved(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    visit.go("/admin/accounts/auditevent/")
    page.get_by_role("link", name="add version", exact=True).click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(2)  # the demo's two templates
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("take_along")
    with page.expect_download() as saving:
        page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()
    saved = tmp_path / "audit.csv"
    saving.value.save_as(saved)
    with saved.open(newline="") as file:
        assert {row["verb"] for row in csv.DictReader(file)} == {"add_version"}
    rows.first.get_by_role("link").first.click()
    expect(page.locator(".field-became")).to_contain_text('"number": 1')
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
