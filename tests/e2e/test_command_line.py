"""The command line as people have it: in a terminal, in a shell."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Site

WAITING = """
import time
from pathlib import Path

from zenweb import pipeline, step


@step(enable_cache=False)
def waits(gate: str) -> str:
    print("waiting at the gate", flush=True)
    while not Path(gate).exists():
        time.sleep(0.05)
    return "through"


@step
def says(what: str) -> None:
    print(f"it is {what}")


@pipeline
def waiting_pipeline():
    says(waits())
"""
DEADLINE = 30  # seconds
QUESTION = "Otherwise it goes on. [y/N]: "  # the space comes from waiting for the answer itself


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.screen, inside = pty.openpty()
        streams = {"stdin": inside, "stdout": inside, "stderr": inside}
        self.process = subprocess.Popen(
            command, env=environment, cwd=folder, start_new_session=True, **streams
        )
        os.close(inside)
        self.shown = ""

    def until(self, words: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while words not in self.shown:
            assert time.monotonic() < deadline, self.shown
            self._read()

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self, *, interrupting: bool = False) -> int:
        """Its exit code. `interrupting` presses Ctrl-C until it is heard, as people do: Python does not hear one
        that comes just before it begins to wait for a line."""
        pressed = 0.0
        deadline = time.monotonic() + DEADLINE
        while self._read():
            assert time.monotonic() < deadline, self.shown
            if interrupting and self.shown.endswith(QUESTION) and time.monotonic() > pressed + 1:
                self.interrupt()
                pressed = time.monotonic()
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.screen)

    def _read(self) -> bool:
        """Whether there may be more."""
        if not select.select([self.screen], [], [], 0.1)[0]:
            return True
        try:
            read = os.read(self.screen, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += read.decode(errors="replace")
        return bool(read)


@pytest.fixture(scope="module")
def folder(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pipeline is, of which there is a template."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "run.py").write_text(WAITING)
    command = ["pipeline", "create-run-template", "run.waiting_pipeline", "--name=waiting"]
    made = subprocess.run(
        [sys.executable, "-m", "zenweb.cli", *command],
        env=environment_of(site, folder),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return folder


def environment_of(site: Site, folder: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}},
        "ZENWEB_SERVER_URL": site.url,
        "ZENWEB_API_KEY": site.api_key,
        "ZENWEB_ACTIVE_STACK": "celery",
        "ZENWEB_CONFIG_DIR": str(folder / "config"),
        "TERM": "xterm-256color",
        "COLUMNS": "100",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@pytest.fixture
def watching(site: Site, folder: Path, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Runs the template and watches it, in a terminal."""
    opened: list[Terminal] = []

    def run(*options: str) -> Terminal:
        command = [
            "run-template",
            "run",
            "waiting",
            "--waits.gate",
            str(tmp_path / "gate"),
            "--watch",
            *options,
        ]
        opened.append(
            Terminal([sys.executable, "-m", "zenweb.cli", *command], environment_of(site, folder), folder)
        )
        opened[-1].until("waiting at the gate")
        return opened[-1]

    yield run
    (tmp_path / "gate").touch()
    for terminal in opened:
        terminal.close()


def test_a_run_is_watched_to_its_end(watching: Callable[..., Terminal], tmp_path: Path) -> None:
    terminal = watching()
    (tmp_path / "gate").touch()
    assert terminal.end() == 0
    assert "it is through" in terminal.shown
    assert terminal.shown.count("\x1b[?25l") == terminal.shown.count("\x1b[?25h")  # the cursor is back
    assert terminal.shown.splitlines()[-1].startswith("Run waiting_pipeline-")


def test_ctrl_c_asks_and_a_yes_stops_the_run(watching: Callable[..., Terminal]) -> None:
    terminal = watching()
    terminal.interrupt()
    terminal.until(QUESTION)
    terminal.type("y\n")
    assert terminal.end() == 3
    assert "stopped: admin asked to stop the run." in terminal.shown


def test_a_second_ctrl_c_leaves_and_the_run_goes_on(watching: Callable[..., Terminal]) -> None:
    terminal = watching("--output", "json")
    terminal.interrupt()
    terminal.until(QUESTION)
    assert terminal.end(interrupting=True) == 130
    assert "goes on. Follow it with: zenweb run watch waiting_pipeline-" in terminal.shown


@pytest.fixture
def bash(site: Site, folder: Path) -> Iterator[Terminal]:
    """One that completes, and shows nothing but what is typed and completed."""
    environment = environment_of(site, folder) | {"PS1": "> ", "TERM": "dumb", "INPUTRC": "/dev/null"}
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], environment, folder)
    terminal.type("bind 'set enable-bracketed-paste off'; eval \"$(zenweb completion bash)\"; echo rea''dy\n")
    terminal.until("ready")
    yield terminal
    terminal.close()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("zenweb run-t\t", "zenweb run-template "),
        ("zenweb run-template run wai\t", "run waiting "),
        ("zenweb run-template run waiting --waits\t", "--waits.gate "),
    ],
)
def test_a_shell_completes_names_of_the_server(bash: Terminal, typed: str, completed: str) -> None:
    bash.type(typed)
    bash.until(completed)
