"""`zenweb server`: the web server alone."""

import os
from pathlib import Path

import click

from zenweb.cli.data_folder import open_data_folder
from zenweb.cli.environment import PYTHON, reachable, require_tables, server_environment
from zenweb.cli.options import data_dir_option, host_option, port_option

# A request that waits for a run's end holds a thread, and only then costs one: the pool grows on demand.
# Long answers get shares of these (api/places.py), and 50 waiting callers must leave room for everybody else.
THREADS = 160
LEAST_THREADS = 8
LOG_CONFIG = Path(__file__).parents[1] / "web_server_log.json"
STOP_SECONDS = 3  # what a request in flight gets when the server stops


@click.command("server")
@host_option
@port_option
@click.option(
    "--threads",
    type=click.IntRange(min=LEAST_THREADS),
    default=THREADS,
    show_default=True,
    envvar="ZENWEB_WEB_THREADS",
    help="Requests answered at once, per process.",
)
@click.option("--processes", default=1, show_default=True, help="Processes that answer.")
@data_dir_option
def command(host: str, port: int, threads: int, processes: int, data_dir: Path) -> None:
    """Start the web server (after `zenweb manage migrate` has prepared the database)."""
    folder = open_data_folder(data_dir)
    environment = server_environment(folder, ZENWEB_PUBLIC_URL=f"http://{reachable(host)}:{port}")
    environment["ZENWEB_WEB_THREADS"] = str(threads)
    require_tables(folder, environment)
    arguments = server_command(host, port, threads=threads, processes=processes)
    os.execve(arguments[0], arguments, environment)  # noqa: S606  signals go straight to the server


def server_command(host: str, port: int, *, threads: int = THREADS, processes: int = 1) -> list[str]:
    return [
        *PYTHON,
        *("-m", "granian", "zenweb.wsgi:application"),
        *("--interface", "wsgi"),
        *("--host", host),
        *("--port", str(port)),
        *("--workers", str(processes)),
        *("--blocking-threads", str(threads)),
        *("--workers-kill-timeout", str(STOP_SECONDS)),
        *("--no-ws", "--log-level", "warning", "--log-config", str(LOG_CONFIG)),
    ]
