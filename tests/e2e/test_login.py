"""`zenweb login` over a real network: what may stand in a header is decided there and nowhere else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Site, Visit

Login = Callable[..., "subprocess.CompletedProcess[str]"]
COMMAND = [sys.executable, "-m", "zenweb.cli"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of somebody who is not connected yet."""
    told = {name: value for name, value in os.environ.items() if not name.startswith("ZENWEB_")}
    return told | {"ZENWEB_CONFIG_DIR": str(tmp_path)}


@pytest.fixture
def zenweb(environment: dict[str, str]) -> Login:
    """Runs a command of theirs."""

    def run(*arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *arguments],
            env=environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            start_new_session=True,  # without a terminal, so that what is typed here is what is read
        )

    return run


def test_the_key_that_is_asked_for_connects(zenweb: Login, site: Site) -> None:
    process = zenweb("login", site.url, "--api-key", typed=f"{site.api_key}\n")
    assert process.returncode == 0, process.stderr
    assert process.stdout.endswith(f"Connected to {site.url} as admin.\n")
    assert "celery" in zenweb("stack", "list").stdout


def test_a_key_with_blanks_around_it_connects(zenweb: Login, site: Site) -> None:
    process = zenweb("login", site.url, "--api-key", f" {site.api_key}\n")
    assert (process.returncode, process.stdout) == (0, f"Connected to {site.url} as admin.\n")
    assert "celery" in zenweb("stack", "list").stdout


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("ZENKEY_wrong", "This API key is not known, has expired or was revoked."),
        ("ZENKEY_schlüssel", "This is no API key: "),
        ("ZENKEY_a\nb", "This is no API key: "),
    ],
)
def test_a_wrong_key_is_one_sentence_and_nothing_is_stored(
    zenweb: Login, site: Site, tmp_path: Path, key: str, sentence: str
) -> None:
    process = zenweb("login", site.url, "--api-key", key)
    assert (process.returncode, process.stderr.count("\n")) == (1, 1)
    assert sentence in process.stderr
    assert not (tmp_path / "connection.json").exists()


def test_a_person_confirms_the_code_in_the_browser(
    visit: Visit, environment: dict[str, str], zenweb: Login
) -> None:
    waiting = subprocess.Popen(
        [*COMMAND, "login", visit.site.url, "--no-browser"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with waiting:
        assert waiting.stdout is not None
        code = waiting.stdout.readline().split()[-1].rstrip(":")
        visit.page.goto(waiting.stdout.readline().strip())
        expect(visit.page.locator(".device-code")).to_have_text(code)
        visit.page.get_by_role("button", name="Yes, connect it").click()
        expect(visit.page.get_by_role("heading", name="The program is connected")).to_be_visible()
        said, _ = waiting.communicate(timeout=30)
    assert said.endswith(f"Connected to {visit.site.url} as admin.\n")
    assert "celery" in zenweb("stack", "list").stdout
