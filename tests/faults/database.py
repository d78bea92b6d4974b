"""The database that a test's processes share: a copy of one that has everything in it, on a file or on a server."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import dj_database_url
from django.conf import settings
from django.db import connections
from django.db.utils import load_backend

from tests import postgresql

SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
}
# A server that is stopped at once loses no commit, only a machine that loses its power would.
CRASHABLE = {"fsync": "off", "full_page_writes": "off"}


def new_database(folder: Path) -> str:
    """The URL of an empty database."""
    if settings.ON_POSTGRESQL:
        return postgresql.create_database(server())
    return f"sqlite:///{folder / 'prepared.sqlite3'}"


def copy_database(url: str, folder: Path) -> str:
    """The URL of a copy. Nobody may be connected to the one that is copied."""
    if settings.ON_POSTGRESQL:
        return postgresql.create_database(server(), copied_from=dj_database_url.parse(url)["NAME"])
    target = folder / "zenweb.sqlite3"
    original = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(original)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return f"sqlite:///{target}"


@cache
def server() -> postgresql.PostgresServer:
    """One of the fault tests' own: they stop it."""
    return postgresql.start_server("-faults", CRASHABLE)


def stop_server(how: str) -> None:
    """`fast` ends every connection; `immediate` is what a crash looks like."""
    postgresql.stop(server(), how)


def start_server() -> None:
    server().ensure_postgres_running()


@contextmanager
def using_database(url: str) -> Iterator[None]:
    """This thread's database, for as long as the block lasts, is that one."""
    usual = connections["default"]
    described: dict[str, Any] = {**deepcopy(usual.settings_dict), **dj_database_url.parse(url)}
    if not settings.ON_POSTGRESQL:
        described["OPTIONS"] = SQLITE_OPTIONS
    described["CONN_HEALTH_CHECKS"] = False
    other = load_backend(described["ENGINE"]).DatabaseWrapper(described, "default")
    connections["default"] = other
    try:
        yield
    finally:
        other.close()
        connections["default"] = usual
