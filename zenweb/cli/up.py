"""`zenweb up`: everything on this machine, under one supervisor."""

import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zenweb.cli.data_folder import ANOTHER_FOLDER, Credentials, DataFolder, open_data_folder
from zenweb.cli.environment import reachable, server_environment
from zenweb.cli.local_server import LocalServer, choose_port
from zenweb.cli.options import data_dir_option, host_option, port_option
from zenweb.cli.processes import STOP_GRACE, Supervisor
from zenweb.exceptions import ZenWebError

if TYPE_CHECKING:
    from zenweb.cli.demo import Demo

INTERRUPTED = 130


class CredentialsLost(ZenWebError):
    """Nobody here knows how to sign in."""


@click.command("up")
@host_option
@port_option
@data_dir_option
@click.option("--demo", "with_demo", is_flag=True, help="Register the examples as run templates.")
@click.option(
    "--once", is_flag=True, help="Run the training example once (implies --demo), report, and stop."
)
def command(host: str, port: int, data_dir: Path, with_demo: bool, once: bool) -> None:
    """Start broker, web server and one worker here, until Ctrl-C."""
    demo = None
    if with_demo or once:
        # Not for others: what it imports takes 10 MB of a process that may run for months.
        from zenweb.cli.demo import Demo, require_examples  # noqa: PLC0415

        require_examples()
        demo = Demo
    port = choose_port(host, port)
    folder = open_data_folder(data_dir)
    environment = server_environment(
        folder,
        ZENWEB_PUBLIC_URL=f"http://{reachable(host)}:{port}",
        # Before the supervisor's patience ends, or the worker could not give its unfinished steps back.
        ZENWEB_SHUTDOWN_LIMIT=str(int(STOP_GRACE / 2)),
    )
    server = LocalServer(folder, host, port, environment)
    _end_in_order_when_asked()
    try:
        with folder.locked(), Supervisor(folder.logs, _stop_grace(environment)) as supervisor:
            _serve(server, supervisor, demo, once=once)
    except KeyboardInterrupt:
        # Being stopped is how it ends, and no failure; a demonstration that was cut short is one.
        sys.exit(INTERRUPTED if once else 0)


def _stop_grace(environment: Mapping[str, str]) -> float:
    """Longer than the worker may take to end what runs, or it could not give its unfinished steps back."""
    limit = environment["ZENWEB_SHUTDOWN_LIMIT"]
    return max(STOP_GRACE, float(limit) * 1.2 + 2) if limit.isdecimal() else STOP_GRACE


def _end_in_order_when_asked() -> None:
    """The same end for Ctrl-C, TERM and a closed terminal, unless it was started with `nohup`."""
    # INT too: a background job of a script starts with it ignored, and may be sent it nevertheless.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def _serve(server: LocalServer, supervisor: Supervisor, demo: "type[Demo] | None", *, once: bool) -> None:
    try:
        click.echo("Starting ZenWeb …")
        credentials, is_new = server.start(supervisor)
        _tell_how_to_sign_in(server.public_url, server.folder, credentials, is_new=is_new)
        if demo is not None:
            shown = demo(server.local_url, _api_key(server.folder, credentials))
            shown.register(supervisor)
            if once:
                shown.run_training(supervisor)
                return
        click.echo("\nCtrl-C stops everything.")
        supervisor.watch()
    except KeyboardInterrupt:
        click.echo("\nStopping …")
        raise


def _api_key(folder: DataFolder, credentials: Credentials | None) -> str:
    if credentials is None:
        raise CredentialsLost(
            f"--demo needs the first user's API key, and {folder.credentials_file} is gone:"
            f" bring it back, or start with another data folder, {ANOTHER_FOLDER}."
        )
    return credentials.api_key


def _tell_how_to_sign_in(
    url: str, folder: DataFolder, credentials: Credentials | None, *, is_new: bool
) -> None:
    click.echo(f"ZenWeb answers at {url}")
    if credentials and is_new:
        click.echo(f"  user      {credentials.username}")
        click.echo(f"  password  {credentials.password}")
        click.echo(f"  API key   {credentials.api_key}")
        click.echo(f"  These are shown this once and kept in {folder.credentials_file}")
    elif credentials:
        click.echo(f"  Sign in as {credentials.username}; the password is in {folder.credentials_file}")
    else:
        click.echo("  Sign in as before; nobody's password is kept here. To set a new one for admin:")
        click.echo(f"  zenweb manage --data-dir {shlex.quote(str(folder.path))} changepassword admin")
