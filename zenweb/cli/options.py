"""Options that several commands share."""

from pathlib import Path
from typing import Any

import click


class Port(click.IntRange):
    """A port; 0 is any that is free."""

    name = "port"

    def __init__(self) -> None:
        super().__init__(0, 65535)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(
                f"{value!r} is not a port, which is a whole number from 1 to 65535 (0: any free one),"
                " as in `PORT=9000 make demo`.",
                param,
                ctx,
            )


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
    type=Port(),
    default=8000,
    envvar="PORT",
    show_default=True,
    help="Port to listen on.",
)
