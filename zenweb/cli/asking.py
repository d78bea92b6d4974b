"""Asking for a secret: typed without being shown where there is a terminal, else the next line of the input."""

import sys
from pathlib import Path

import click

TERMINAL = Path("/dev/tty")


def ask_hidden(label: str) -> str:
    """What is typed. Raises EOFError where nobody answers; Ctrl-C ends the program."""
    if not _is_terminal_there():
        # Python's own way warns there that what is typed may be seen: nobody types.
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")
    try:
        return str(click.prompt(label, hide_input=True, err=True, prompt_suffix=" (hidden): "))
    except click.Abort as abort:
        if isinstance(abort.__context__, EOFError):
            raise EOFError from None
        raise


def _is_terminal_there() -> bool:
    if sys.stdin.isatty():
        return True
    try:
        with TERMINAL.open("rb"):
            return True
    except OSError:
        return False
