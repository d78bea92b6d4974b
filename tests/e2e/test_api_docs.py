"""The page that tells of REST works with nothing but this server, under its content policy."""

from playwright.sync_api import expect

from tests.e2e.conftest import Visit


def test_rest_is_read_and_tried_in_the_browser(visit: Visit) -> None:
    elsewhere = []
    visit.page.on(
        "request", lambda asked: elsewhere.append(asked.url) if visit.site.url not in asked.url else None
    )
    visit.go("/api/v1/docs")
    described = visit.page.request.get(f"{visit.site.url}/api/v1/openapi.json").json()["paths"]
    expect(visit.page.locator(".opblock")).to_have_count(sum(len(methods) for methods in described.values()))
    visit.page.locator("#operations-stacks-get_stack_list .opblock-summary-control").click()
    visit.page.get_by_role("button", name="Try it out").click()
    visit.page.get_by_role("button", name="Execute", exact=True).click()
    expect(visit.page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    assert [url for url in elsewhere if not url.startswith("data:")] == []
