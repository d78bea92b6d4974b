"""A form with rows, kinds and groups, filled in by hand: with scripts, without, and judged by axe."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.conftest import Site, Visit, sign_in
from tests.e2e.test_first_run import wait_for_end
from tests.e2e.test_sdk import run_script

# What takes its colour from another begins to turn once that one has.
COLOURS_HAVE_TURNED = """async () => {
    for (let turn = 0; turn < 4; turn++) {
        const turning = document.getAnimations().filter(each => each instanceof CSSTransition);
        const turned = Promise.allSettled(turning.map(each => each.finished));
        await Promise.race([turned, new Promise(go => setTimeout(go, 500))]);
    }
}"""
AXE = Path(__file__).parent.parent.parent / "node_modules" / "axe-core" / "axe.min.js"
CODE = '''
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from zenweb import pipeline, step


class Layer(BaseModel):
    units: int = Field(ge=1)
    activation: Literal["relu", "tanh"] = "relu"


class CsvFile(BaseModel):
    kind: Literal["csv"] = "csv"
    path: str


class Query(BaseModel):
    kind: Literal["sql"] = "sql"
    text: str


@step
def build(
    source: Annotated[CsvFile | Query, Field(discriminator="kind")],
    layers: list[Layer] = [Layer(units=8)],
    bounds: dict[str, float] = {"low": 0.5},
    metrics: set[Literal["f1", "auc"]] = {"f1"},
    limit: timedelta = timedelta(hours=1),
) -> str:
    """Build it.

    Args:
        layers: From the input to the output.
    """
    return f"{source.text} {[layer.units for layer in layers]} {bounds} {sorted(metrics)} {limit}"


@step
def read(names: list[str], since: date, table: Path, layers: list[Layer] = [Layer(units=8), Layer(units=9)]) -> str:
    return f"{names} {since} {table.read_text()} {[layer.units for layer in layers]}"


@pipeline
def nested():
    build()


@pipeline
def by_keyboard():
    read()


by_keyboard.create_run_template(name="by keyboard", update=True)

nested.create_run_template(name="nested", update=True)
'''


GUARDED = """
from datetime import date

from pydantic import BaseModel, Field, SecretStr

from zenweb import pipeline, step


class Postgres(BaseModel):
    host: str
    password: SecretStr


class Bucket(BaseModel):
    url: str


class Watch(BaseModel):
    place: str
    key: SecretStr


class Price(BaseModel):
    name: str
    amount: float = 1.0
    pieces: int = 1
    day: date | None = None
    note: str = ""
    is_final: bool = False


@step
def connect(
    source: Bucket | Postgres,
    watches: list[Watch] | None = None,
    prices: list[Price] = [Price(name="a"), Price(name="b")],
    days: list[date] = [date(2026, 1, 31), date(2026, 2, 28)],
) -> str:
    return source.host


@pipeline
def guarded():
    connect()


guarded.create_run_template(name="guarded", update=True)
"""


@pytest.fixture(scope="module")
def guarded(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    run_script(GUARDED, tmp_path_factory.mktemp("guarded"), site)
    return "guarded"


def test_what_stands_beside_a_secret_survives_a_reload(visit: Visit, guarded: str) -> None:
    page = visit.page
    page.reload()
    open_form(page, guarded)
    page.get_by_label("Source: kind").select_option("Postgres")
    page.get_by_label("Host").fill("db")
    page.get_by_label("Password").fill("hush")
    page.get_by_label("Watches: kind").select_option("Set")
    page.get_by_role("button", name="Add watch").click()
    page.get_by_label("Place").fill("here")
    assert "hush" not in page.evaluate("JSON.stringify(sessionStorage)")
    page.reload()
    expect(page.get_by_label("Host")).to_have_value("db")
    expect(page.get_by_label("Place")).to_have_value("here")
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_text("Type it again: secrets are not kept.")).to_be_visible()


def test_what_a_file_filled_rows_with_may_be_changed_and_one_that_is_no_table_leaves_it(
    visit: Visit, guarded: str
) -> None:
    page = visit.page
    page.reload()
    open_form(page, guarded)
    prices = page.get_by_role("group", name="Prices")
    table = {"name": "p.csv", "mimeType": "text/csv", "buffer": "name;amount\nMüller;2,5\n".encode("cp1252")}
    prices.locator("input[type=file]").set_input_files(table)
    expect(prices.get_by_label("Name")).to_have_count(1)
    expect(prices.get_by_label("Name")).to_have_value("Müller")
    expect(prices.get_by_label("Amount")).to_have_value("2.5")
    prices.get_by_label("Amount").fill("3.5")
    prices.get_by_role("button", name="Add price").click()
    expect(prices.get_by_label("Name")).to_have_count(2)
    expect(prices.get_by_label("Amount").first).to_have_value("3.5")
    prices.locator("input[type=file]").set_input_files({**table, "buffer": b"colour\nred\n"})
    expect(prices.get_by_text("There is no column “colour”")).to_be_visible()
    expect(prices.get_by_label("Amount").first).to_have_value("3.5")


@pytest.fixture(scope="module")
def template(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    run_script(CODE, tmp_path_factory.mktemp("nested"), site)
    return "nested"


def open_form(page: Page, template: str) -> None:
    page.get_by_role("link", name=template, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(template)


def test_rows_and_kinds_are_filled_in_and_run(visit: Visit, template: str) -> None:
    page = visit.page
    page.reload()
    open_form(page, template)
    page.get_by_label("Source: kind").select_option("Query")
    page.get_by_label("Text").fill("select 1")
    page.get_by_role("button", name="Add layer").click()
    units = page.get_by_label("Units")
    expect(units).to_have_count(2)
    units.last.fill("0")
    units.last.press("Tab")
    expect(page.get_by_text("This must be at least 1.")).to_be_visible()
    units.last.fill("32")
    expect(page.get_by_text("This must be at least 1.")).to_have_count(0)
    page.get_by_role("button", name="Move layer 2 up").click()
    expect(units.first).to_have_value("32")
    page.get_by_label("auc").check()
    page.get_by_label("Limit").fill("90 min")
    expect(page.get_by_label("Text")).to_have_value("select 1")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    wait_for_end(page)
    expected = "select 1 [32, 8] {'low': 0.5} ['auc', 'f1'] 1:30:00"
    expect(page.locator("main")).to_contain_text(expected)


def test_rows_and_kinds_survive_a_reload_and_are_not_forgotten_while_the_server_is_away(
    visit: Visit, template: str
) -> None:
    page = visit.page
    page.reload()
    open_form(page, template)
    page.get_by_label("Source: kind").select_option("Query")
    page.get_by_label("Text").fill("select 4")
    page.get_by_role("button", name="Add layer").click()
    expect(page.get_by_label("Units")).to_have_count(2)
    page.get_by_label("Units").last.fill("64")
    page.get_by_label("f1").uncheck()

    page.route("**/templates/**", answer_with_nothing)  # how often it was used is asked for as well
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-offline", "")
    page.get_by_label("Limit").fill("5 min")
    page.unroute("**/templates/**")

    page.reload()
    expect(page.get_by_label("Text")).to_have_value("select 4")
    expect(page.get_by_label("Units")).to_have_count(2)
    expect(page.get_by_label("Units").last).to_have_value("64")
    expect(page.get_by_label("f1")).not_to_be_checked()
    expect(page.locator("#kept-notice")).to_be_visible()
    page.get_by_role("button", name="Discard it").click()
    expect(page.get_by_label("Units")).to_have_count(1)
    visit.complaints.clear()  # what htmx asked for in vain


def answer_with_nothing(route: Route) -> None:
    """To what the page's script asks; pages themselves still come, and what htmx asks for fails."""
    if route.request.headers.get("hx-request"):
        route.abort()
    elif route.request.method == "POST":
        # With an icon, or the browser may ask the server for one that is not there.
        route.fulfill(status=200, content_type="text/html", body='<link rel="icon" href="data:,">')
    else:
        route.fallback()


def test_the_same_without_scripts(browser: Browser, site: Site, template: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = sign_in(context, site)
    open_form(page, template)
    page.get_by_label("Source: kind").select_option("Query")
    page.get_by_role("button", name="Show its fields").click()
    page.get_by_label("Text").fill("select 2")
    page.get_by_role("button", name="Add layer").click()
    page.get_by_label("Units").last.fill("5")
    page.get_by_role("button", name="Remove layer 1").click()
    expect(page.get_by_label("Units")).to_have_count(1)
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    wait_for_end(page)
    expect(page.locator("main")).to_contain_text("select 2 [5] {'low': 0.5} ['f1'] 1:00:00")
    context.close()


def test_axe_finds_nothing(visit: Visit, template: str) -> None:
    page = visit.page
    page.reload()
    open_form(page, template)
    page.get_by_label("Source: kind").select_option("Query")
    expect(page.get_by_label("Text")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("1 thing to correct")
    form = page.url.removeprefix(visit.site.url)
    found = violations(page)
    lists = ("/templates/", "/runs/", "/pipelines/", "/account/", "/account/password/", "/device/")
    for path in (*lists, f"{form}form/", f"{form}access/", f"{form}usage", f"{form}?view=yaml", form):
        visit.go(path)
        found += violations(page)
    page.get_by_label("Source: kind").select_option("Query")
    page.get_by_label("Text").fill("select 3")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    wait_for_end(page)
    assert found + violations(page) == []
    visit.complaints.clear()  # the refused form was answered 422


def violations(page: Page) -> list[str]:
    """In both colour schemes."""
    page.evaluate(AXE.read_text())
    told = []
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.evaluate(COLOURS_HAVE_TURNED)
        found = page.evaluate("axe.run()")["violations"]
        told += [f"{page.url} {scheme}: {one['id']} at {one['nodes'][0]['html'][:200]}" for one in found]
    return told


def test_a_form_is_filled_in_and_sent_by_the_keyboard_alone(
    visit: Visit, template: str, tmp_path: Path
) -> None:
    page, keys = visit.page, visit.page.keyboard
    page.reload()
    (tmp_path / "table.csv").write_text("a,b")

    def go_to(words: str, back: bool = False) -> None:
        """With the tabulator, as far as the form reaches."""
        for _ in range(60):
            keys.press("Shift+Tab" if back else "Tab")
            told = "(e => [e.labels?.[0], e].map(each => each?.textContent.trim() ?? ''))(document.activeElement)"
            if any(text.startswith(words) for text in page.evaluate(told)):
                return
        pytest.fail(f"{words} is not reached.")

    go_to("by keyboard")
    keys.press("Enter")
    page.wait_for_url(re.compile(r"/templates/[0-9a-f-]+/"))
    go_to("Names")
    keys.type("Ada\nBob")
    go_to("Since")
    keys.type("02032026")
    go_to("A file from this computer")
    with page.expect_file_chooser() as choosing:
        keys.press("Enter")
    choosing.value.set_files(tmp_path / "table.csv")
    go_to("Add layer")
    keys.press("Enter")
    expect(page.get_by_label("Units")).to_have_count(3)
    expect(page.get_by_label("Units").last).to_be_focused()
    keys.press("Control+a")
    keys.type("7")
    go_to("Remove layer 1", back=True)
    keys.press("Enter")
    expect(page.get_by_label("Units")).to_have_count(2)
    go_to("Run")
    keys.press("Enter")
    page.wait_for_url(re.compile("/runs/"))
    wait_for_end(page)
    expect(page.locator("main")).to_contain_text("['Ada', 'Bob'] 2026-02-03 a,b [9, 7]")
