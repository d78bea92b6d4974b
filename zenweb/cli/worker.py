"""`zenweb worker`: one worker process."""

import os
import socket
from pathlib import Path

import click

from zenweb.cli.broker import require_broker
from zenweb.cli.data_folder import open_data_folder
from zenweb.cli.environment import PYTHON, require_tables, server_environment
from zenweb.cli.options import data_dir_option

DEFAULT_QUEUE = "default"


@click.command("worker")
@click.option(
    "--queues", default=DEFAULT_QUEUE, show_default=True, help="Queues it serves, separated by commas."
)
@click.option(
    "--slots", type=click.IntRange(min=1), help="Steps it runs at once [default: one per processor]."
)
@click.option("--name", help="What pages call it [default: the machine's name and the process's number].")
@data_dir_option
def command(queues: str, slots: int | None, name: str | None, data_dir: Path) -> None:
    """Start a worker, which executes the steps of its queues."""
    folder = open_data_folder(data_dir)
    environment = server_environment(folder)
    require_broker(folder, environment)
    require_tables(folder, environment)
    arguments = worker_command(queues=queues, slots=slots, name=name)
    os.execve(arguments[0], arguments, environment)  # noqa: S606  signals go straight to the worker


def worker_command(
    *, queues: str = DEFAULT_QUEUE, slots: int | None = None, name: str | None = None
) -> list[str]:
    return [
        *PYTHON,
        *("-m", "django", "celery_worker"),
        *("--queues", queues),
        *("--slots", str(slots or default_slots())),
        *("--name", name or f"{socket.gethostname()}-{os.getpid()}"),
    ]


def default_slots() -> int:
    """One per processor, and two at least: a long step does not keep a short one from starting."""
    return max(2, os.cpu_count() or 1)
