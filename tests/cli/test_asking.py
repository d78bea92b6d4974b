"""What is asked for without being shown: in a terminal, from a pipe, and where somebody leaves."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

PROGRAM = """
import sys, types, click
from zenweb.cli import main
from zenweb.cli.asking import ask_hidden

asks = types.ModuleType("asks")
asks.command = click.Command("stack", callback=lambda: click.echo("told " + ask_hidden("API key")))
sys.modules["asks"] = asks
main.COMMANDS["stack"] = ("asks", "")
main.main(["stack"], prog_name="zenweb")
"""


@pytest.fixture
def asked() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A program that has asked, and its terminal."""
    terminal, its_side = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=its_side,
        stdout=its_side,
        stderr=its_side,
        start_new_session=True,
    ) as program:
        os.close(its_side)
        read(terminal, until=b"(hidden): ")
        yield program, terminal
    os.close(terminal)


def read(terminal: int, until: bytes | None = None) -> str:
    seen = b""
    with suppress(OSError):  # it has ended
        while until is None or until not in seen:
            seen += os.read(terminal, 1000)
    return seen.decode()


def test_ctrl_c_ends_it_as_shells_have_it_and_says_nothing(
    asked: tuple[subprocess.Popen[bytes], int],
) -> None:
    program, terminal = asked
    program.send_signal(signal.SIGINT)
    assert (read(terminal), program.wait()) == ("\r\n", 130)


def test_what_is_typed_is_not_shown(asked: tuple[subprocess.Popen[bytes], int]) -> None:
    program, terminal = asked
    os.write(terminal, b"word\n")
    assert (read(terminal), program.wait()) == ("\r\ntold word\r\n", 0)


def test_without_a_terminal_it_is_read_without_a_warning() -> None:
    program = [sys.executable, "-c", PROGRAM]
    ended = subprocess.run(
        program, input="word\n", capture_output=True, text=True, start_new_session=True, check=False
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("told word\n", "", 0)
