"""Options that several commands share."""

from pathlib import Path

import click

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=True),
    default=Path(".zenweb"),
    envvar="ZENWEB_DATA_DIR",
    show_default=True,
    help="Where database, artifacts, secrets and logs are kept.",
)
host_option = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    envvar="PORT",
    show_default=True,
    help="Port to listen on.",
)
