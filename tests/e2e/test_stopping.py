"""A real run on a real worker is stopped through every door, and ends within a second when its step obeys."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from playwright.sync_api import expect

from tests.e2e.conftest import Site, Visit
from tests.e2e.test_sdk import execute
from zenweb.cli.main import main

LONG_PIPELINE = """
import time

from zenweb import pipeline, step


@step
def waits(seconds: int = 60) -> None:
    print("I am waiting", flush=True)
    time.sleep(seconds)


@step
def follows() -> None:
    pass


@pipeline(enable_cache=False)
def long_pipeline():
    waits()
    follows(after="waits")
"""
MOST = 1.0  # seconds from the request to the run's end


@pytest.fixture(scope="package")
def long_template(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("long")
    (folder / "long_run.py").write_text(LONG_PIPELINE)
    options = ("pipeline", "create-run-template", "long_run.long_pipeline", "--name=long")
    made = execute([sys.executable, "-m", "zenweb.cli", *options], folder, site, "celery", site.url)
    assert made.returncode == 0, made.stderr
    return "long"


@pytest.fixture
def api(site: Site) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {site.api_key}"}
    with httpx.Client(base_url=f"{site.url}/api/v1", headers=headers) as client:
        yield client


@pytest.fixture
def run(api: httpx.Client, long_template: str) -> dict[str, Any]:
    """One whose first step is in the user's code."""
    made = api.post(f"/run_templates/{long_template}/runs").json()
    wait_for(lambda: "I am waiting" in api.get(f"/runs/{made['id']}/logs").json(), 30)
    return made


def wait_for(condition: Callable[[], Any], seconds: float) -> float:
    """How long it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - begun


def has_stopped(api: httpx.Client, run: dict[str, Any]) -> bool:
    return bool(api.get(f"/runs/{run['id']}/status").json() == "stopped")


def steps_of(api: httpx.Client, run: dict[str, Any]) -> list[str]:
    return [step["body"]["status"] for step in api.get(f"/runs/{run['id']}/steps").json()["items"]]


@pytest.mark.parametrize("query", ["", "?graceful=true", "?graceful=false"])
def test_over_rest(api: httpx.Client, run: dict[str, Any], query: str) -> None:
    begun = time.monotonic()
    answer = api.post(f"/runs/{run['id']}/stop{query}")
    assert (answer.status_code, answer.json()) == (200, None)
    wait_for(lambda: has_stopped(api, run), 15)
    assert time.monotonic() - begun < MOST
    assert steps_of(api, run) == ["stopped", "stopped"]


def test_on_the_command_line(
    api: httpx.Client, run: dict[str, Any], site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZENWEB_SERVER_URL", site.url)
    monkeypatch.setenv("ZENWEB_API_KEY", site.api_key)
    monkeypatch.setenv("ZENWEB_CONFIG_DIR", str(tmp_path))
    CliRunner().invoke(main, ["run", "stop", "--help"])  # loads what a command line loads before it acts
    begun = time.monotonic()
    stopping = CliRunner().invoke(main, ["run", "stop", run["name"]])
    assert (stopping.exit_code, "was asked to stop" in stopping.output) == (0, True)
    wait_for(lambda: has_stopped(api, run), 15)
    assert time.monotonic() - begun < MOST
    waited = CliRunner().invoke(main, ["run", "stop", run["name"], "--wait"])
    assert waited.output == f"Run {run['name']} has ended already: stopped.\n"


def test_on_its_page(visit: Visit, api: httpx.Client, run: dict[str, Any]) -> None:
    page = visit.page
    page.on("dialog", lambda dialog: dialog.accept())
    visit.go(f"/runs/{run['id']}/")
    begun = time.monotonic()
    page.get_by_role("button", name="Stop").click()
    wait_for(lambda: has_stopped(api, run), 15)
    assert time.monotonic() - begun < MOST
    expect(page.locator("#run-status")).to_contain_text("Stopped")
    expect(page.locator("#run-live")).not_to_have_attribute("hx-trigger", re.compile(".*"))


def test_a_stopped_run_is_repaired_in_the_browser(
    visit: Visit, api: httpx.Client, run: dict[str, Any]
) -> None:
    """And the plan follows what one chooses, without the page being loaded again."""
    api.post(f"/runs/{run['id']}/stop")
    wait_for(lambda: has_stopped(api, run), 15)
    page = visit.page
    visit.go(f"/runs/{run['id']}/")
    page.get_by_role("link", name="Repair", exact=True).click()
    words = page.locator("#repair-words")
    expect(words).to_contain_text("2 of 2 steps run again")
    page.get_by_label("Seconds").fill("x")
    expect(words).to_contain_text("not right yet")
    page.get_by_label("Seconds").fill("0")
    expect(words).to_contain_text("2 of 2 steps run again")
    page.get_by_role("button", name="Repair").click()
    expect(page.locator("#run-status")).to_contain_text("Completed", timeout=30_000)
    page.get_by_role("link", name="Repair", exact=True).click()
    expect(words).to_contain_text("Nothing runs again yet")
    page.get_by_role("radio", name=re.compile("^Follows")).check()
    expect(words).to_contain_text("1 of 2 steps runs again, 1 keeps what it made.")
    page.get_by_role("button", name="Repair").click()
    expect(page.locator("#run-status")).to_contain_text("Completed", timeout=30_000)
    expect(page.locator("#steps")).to_contain_text("It was not run again")
