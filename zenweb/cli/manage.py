"""`zenweb manage`: Django's own commands, with the settings that the server's processes have."""

import os
from pathlib import Path

import click

from zenweb.cli.data_folder import open_data_folder
from zenweb.cli.environment import PYTHON, server_environment
from zenweb.cli.options import data_dir_option


@click.command("manage", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@data_dir_option
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND...")
def command(data_dir: Path, arguments: tuple[str, ...]) -> None:
    """Run one of Django's commands on this data folder.

    `migrate` prepares the database, `bootstrap` makes the first user, `changepassword admin` sets a password.
    """
    environment = server_environment(open_data_folder(data_dir))
    program = [*PYTHON, "-m", "django", *arguments]
    os.execve(program[0], program, environment)  # noqa: S606  it has the terminal: some commands ask
