"""Start a server with the examples, and have each client whose interpreter is named walk through what users do."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.zenml_clients.sign_in import signs_in

WALK = Path(__file__).parent / "walk.py"
FOLDER = Path("build/zenml-clients").resolve()
STARTED = "Ctrl-C stops everything."
PATIENCE = 300  # seconds


@dataclass(frozen=True)
class Server:
    url: str
    username: str
    password: str
    api_key: str


def main(interpreters: list[str]) -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    with serving(FOLDER) as server:
        make_second_project(server)
        return sum(walk(interpreter, server) + sign_in(interpreter, server) for interpreter in interpreters)


def make_second_project(server: Server) -> None:
    """With one project there is nothing to choose between."""
    headers = {"Authorization": f"Bearer {server.api_key}"}
    httpx.post(f"{server.url}/api/v1/projects", json={"name": "another"}, headers=headers).raise_for_status()


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "zenweb.cli", "up", "--demo", "--port", "0", "--data-dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = _address(process)
            yield Server(url, **json.loads((folder / "credentials").read_text()))
        finally:
            process.send_signal(signal.SIGINT)


def _address(process: "subprocess.Popen[str]") -> str:
    url = ""
    for line in process.stdout or ():
        if line.startswith("ZenWeb answers at "):
            url = line.split()[-1]
        if line.startswith(STARTED):
            return url
    raise SystemExit("The server did not start.")


def walk(interpreter: str, server: Server) -> int:
    """How many things went wrong. The client knows the server's address and a key, and nothing else."""
    with tempfile.TemporaryDirectory() as home:
        environment = environment_in(home) | {
            "ZENML_STORE_URL": server.url,
            "ZENML_STORE_API_KEY": server.api_key,
            "ZENML_LOGGING_VERBOSITY": "ERROR",
        }
        return subprocess.run(
            [interpreter, str(WALK)], env=environment, cwd=home, timeout=PATIENCE, check=False
        ).returncode


def sign_in(interpreter: str, server: Server) -> int:
    """How many things went wrong: the client is told the address alone, and asks somebody to confirm it."""
    with tempfile.TemporaryDirectory() as home:
        zenml = Path(interpreter).parent / "zenml"
        environment = environment_in(home) | {"COLUMNS": "200", "BROWSER": "/bin/true"}
        is_signed_in = signs_in(zenml, server.url, server.username, server.password, environment)
    sys.stdout.write(f"zenml login: {'ok' if is_signed_in else 'FAILED'}\n")
    return not is_signed_in


def environment_in(home: str) -> dict[str, str]:
    return {
        "HOME": home,
        "PATH": "/usr/bin:/bin",
        "ZENML_CONFIG_PATH": f"{home}/zenml",
        "ZENML_ANALYTICS_OPT_IN": "false",
    }


if __name__ == "__main__":
    sys.exit(main([str(Path(name).absolute()) for name in sys.argv[1:]]))
