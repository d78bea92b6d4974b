"""`zenml login`: the client shows a code, somebody confirms it in a browser, and the client is signed in."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

PATIENCE = 90  # seconds
CODE = re.compile(r"[?&]code=([A-Z0-9-]+)")
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def signs_in(zenml: Path, url: str, username: str, password: str, environment: Mapping[str, str]) -> bool:
    """Whether the client ends well; what it said is printed if not."""
    command = ["timeout", str(PATIENCE), str(zenml), "login", url]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        said = ""
        is_confirmed = False
        for line in process.stdout or ():
            said += line
            if not is_confirmed and (found := CODE.search(line)):
                _confirm(url, found[1], username, password)
                is_confirmed = True
    if process.returncode != 0:
        sys.stdout.write(said)
    return process.returncode == 0


def _confirm(url: str, code: str, username: str, password: str) -> None:
    with httpx.Client(base_url=url, follow_redirects=True, headers={"Referer": url}) as browser:
        _send(browser, "/login/", username=username, password=password)
        _send(browser, f"/device/?code={code}", code=code, do="confirm")


def _send(browser: httpx.Client, path: str, **fields: str) -> None:
    token = TOKEN.search(browser.get(path).raise_for_status().text)
    assert token, path
    browser.post(path, data={"csrfmiddlewaretoken": token[1], **fields}).raise_for_status()
