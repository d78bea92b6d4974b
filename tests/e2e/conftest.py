"""A whole ZenWeb with its examples, as `make demo` starts it, and a real browser in front of it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.postgresql import environment_of

START_TIMEOUT = 90  # seconds
expect.set_options(timeout=15_000)  # as for all else that a page is waited for; two cores may be busy
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Site:
    """A running server and the first user's way in."""

    url: str
    username: str
    password: str
    api_key: str


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "zenweb.cli",
        "up",
        "--demo",
        "--port",
        str(port),
        "--data-dir",
        str(folder),
    ]
    environment = os.environ | environment_of(folder)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            wait_until_ready(server)
            credentials = json.loads((folder / "credentials").read_text())
            yield Site(f"http://127.0.0.1:{port}", **credentials)
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(server: "subprocess.Popen[str]") -> None:
    """Read what it says until it says that it is up; a server that says nothing more is ended."""
    deadline = threading.Timer(START_TIMEOUT, server.kill)
    deadline.start()
    said = []
    try:
        for line in server.stdout or []:
            said.append(line)
            if "Ctrl-C stops everything" in line:
                return
    finally:
        deadline.cancel()
    pytest.fail("zenweb up --demo did not start:\n" + "".join(said))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    # Of this scope and no wider: while it is open, the database may not be used in this thread.
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield chromium
        chromium.close()


def find_chromium() -> str:
    names = ["chromium", "chromium-browser", "google-chrome"]
    if found := next(filter(None, map(shutil.which, names)), None):
        return found
    reason = f"No browser for the end-to-end tests: none of {', '.join(names)} is on PATH."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class Visit:
    """A signed-in browser window and what it complained about."""

    page: Page
    site: Site
    complaints: list[str]

    def go(self, path: str) -> None:
        self.page.goto(self.site.url + path)


@pytest.fixture(scope="package")
def cookies(browser: Browser, site: Site) -> Any:
    """What the browser keeps once one has signed in."""
    with browser.new_context() as context:
        sign_in(context, site)
        return context.storage_state()


@pytest.fixture
def context(browser: Browser, cookies: Any) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": 1280, "height": 900}, storage_state=cookies) as context:
        context.set_default_timeout(15_000)
        yield context


@pytest.fixture
def visit(context: BrowserContext, site: Site) -> Iterator[Visit]:
    """Nothing a page does may end in an error in the browser's console, such as one of the content policy."""
    visit = Visit(context.new_page(), site, [])
    visit.page.on("console", lambda message: note(message, visit.complaints))
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.go("/")
    yield visit
    assert visit.complaints == []


def note(message: ConsoleMessage, complaints: list[str]) -> None:
    # A refused form is a 422, which the browser calls a failure to load. A request that ends with its page is none.
    is_left = message.text.startswith(("htmx:sendAbort", "htmx:afterRequest"))
    if message.type == "error" and "422" not in message.text and not is_left:
        complaints.append(message.text)


def sign_in(context: BrowserContext, site: Site) -> Page:
    page = context.new_page()
    page.goto(site.url)
    page.get_by_label("Username").fill(site.username)
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site.url}/templates/")
    return page
