"""What somebody reads who calls a pipeline while there is no server for it: at the end, one sentence that helps."""

import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

CODE = """
from zenweb import pipeline, step

@step
def greet(name: str = "Ada") -> str:
    return f"Hello {name}!"

@pipeline
def greeting_pipeline():
    greet()

if __name__ == "__main__":
    greeting_pipeline()
"""
NOBODY_THERE = "http://127.0.0.1:9"


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b'{"detail": ["CredentialsNotValid", "This API key is not known."]}')

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def what_is_read(folder: Path, **settings: str) -> list[str]:
    (folder / "run.py").write_text(CODE)
    given = {name: value for name, value in os.environ.items() if not name.startswith("ZENWEB_")}
    process = subprocess.run(
        [sys.executable, "run.py"],
        cwd=folder,
        env={**given, "ZENWEB_CONFIG_DIR": str(folder / "config"), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (process.returncode, process.stdout) == (1, "")
    return process.stderr.splitlines()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {},
            "NotConnected: No ZenWeb server is configured. Start one with `zenweb up`, or connect to one with",
        ),
        (
            {"ZENWEB_SERVER_URL": NOBODY_THERE},
            f"Sign in with `zenweb login {NOBODY_THERE}`, or set ZENWEB_API_KEY.",
        ),
        (
            {"ZENWEB_SERVER_URL": NOBODY_THERE, "ZENWEB_API_KEY": "x"},
            f"ServerUnreachable: No ZenWeb server answers at {NOBODY_THERE} (Connection refused): start one with",
        ),
        (
            {"ZENWEB_SERVER_URL": "refusing", "ZENWEB_API_KEY": "x"},
            "This API key is not known. Sign in with `zenweb login ",
        ),
    ],
)
def test_the_last_line_says_what_to_do(
    tmp_path: Path, refusing: str, environment: dict[str, str], sentence: str
) -> None:
    if environment.get("ZENWEB_SERVER_URL") == "refusing":
        environment = environment | {"ZENWEB_SERVER_URL": refusing}
    lines = what_is_read(tmp_path, **environment)
    assert sentence in lines[-1]
    assert sum(line.startswith("Traceback") for line in lines) == 1  # nothing of what was tried below
    assert len([line for line in lines if 'File "' in line]) <= 5
