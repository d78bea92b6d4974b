"""With the settings of a production server nothing is left that Django or we know to be unsafe."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PRODUCTION = {
    "ZENWEB_PUBLIC_URL": "https://zenweb.example.com",
    "ZENWEB_ALLOWED_HOSTS": "zenweb.example.com",
    "ZENWEB_BEHIND_PROXY": "1",
    "DJANGO_SETTINGS_MODULE": "zenweb.settings",
}
ASKED = """
import json
from django.conf import settings
asked = ("SECURE", "SESSION", "CSRF", "DEBUG", "X_")
found = {name: getattr(settings, name) for name in dir(settings) if name.startswith(asked)}
print(json.dumps(found, default=str))
"""


def run_python(tmp_path: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ZENWEB", "DATABASE"))},
        **PRODUCTION,
        "ZENWEB_SECRET_KEY": secrets.token_urlsafe(50),
        "ZENWEB_DATA_DIR": str(tmp_path),
        **settings,
    }
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def settings_with(tmp_path: Path, **settings: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_python(tmp_path, "-c", ASKED, **settings).stdout)
    return found


def test_djangos_own_check_finds_nothing(tmp_path: Path) -> None:
    done = run_python(tmp_path, "-m", "django", "check", "--deploy", "--fail-level", "INFO")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_over_https_cookies_are_secure_and_browsers_stay_there(tmp_path: Path) -> None:
    found = settings_with(tmp_path)
    for name in (
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SESSION_COOKIE_HTTPONLY",
        "SECURE_SSL_REDIRECT",
    ):
        assert found[name] is True, name
    assert found["SECURE_HSTS_SECONDS"] >= 3600
    assert (found["SESSION_COOKIE_SAMESITE"], found["X_FRAME_OPTIONS"], found["DEBUG"]) == (
        "Lax",
        "DENY",
        False,
    )


@pytest.mark.parametrize(("said", "is_believed"), [("", False), ("1", True)])
def test_a_proxy_is_believed_only_where_there_is_one(tmp_path: Path, said: str, is_believed: bool) -> None:
    found = settings_with(tmp_path, ZENWEB_BEHIND_PROXY=said)
    assert (found["SECURE_PROXY_SSL_HEADER"] is not None) is is_believed


def test_without_a_key_there_is_no_server(tmp_path: Path) -> None:
    done = run_python(tmp_path, "-c", ASKED, ZENWEB_SECRET_KEY="")
    assert "ZENWEB_SECRET_KEY is not set" in done.stderr
