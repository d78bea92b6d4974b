"""Which server the SDK talks to, with which key, and which stack is active: from the environment or a file.

Beside the server's settings, the only module that reads the environment.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from zenweb.exceptions import NotConnected, RunHasNoServer

FILE_NAME = "connection.json"
# What the server is told this process speaks through; the command line says so of itself.
channel = "sdk"
_is_cut_off = False


@dataclass(frozen=True)
class Connection:
    server_url: str
    api_key: str
    active_stack: str | None = None
    project: str | None = None
    """Where things are looked for and made; None: where the server says."""


def load() -> Connection:
    """The connection to use. Raises NotConnected, which says what to start and what to type."""
    if _is_cut_off:
        raise RunHasNoServer
    url, stored = _server()
    key = (os.environ.get("ZENWEB_API_KEY") or "").strip() or stored.get("api_key")
    if not key:
        raise NotConnected(
            f"There is no API key for {url}. Sign in with `zenweb login {url}`, or set ZENWEB_API_KEY."
        )
    stack = os.environ.get("ZENWEB_ACTIVE_STACK") or stored.get("active_stack")
    return Connection(url, key, stack, os.environ.get("ZENWEB_PROJECT") or None)


@contextmanager
def cut_off() -> Iterator[None]:
    """While it lasts, no thread of this process has a server, whatever is configured: it runs what came in a file."""
    global _is_cut_off  # noqa: PLW0603  # threads of a step know no context
    _is_cut_off = True
    try:
        yield
    finally:
        _is_cut_off = False


def use(server_url: str, api_key: str, waits: str = "") -> None:
    """From now on this process, and what it starts, speaks with this server; nothing is stored.

    `waits`: where they tell that they wait for a run, if somebody is there to hear it.
    """
    os.environ.update(ZENWEB_SERVER_URL=server_url, ZENWEB_API_KEY=api_key, ZENWEB_STEP_WAITS=waits)


def where_waits_are_told() -> str:
    """Empty where nobody hears it."""
    return os.environ.get("ZENWEB_STEP_WAITS", "")


def save(
    *, server_url: str | None = None, api_key: str | None = None, active_stack: str | None = None
) -> None:
    """Store what is given beside what is stored; with another server, nothing of the former one is kept."""
    stored = _read()
    if server_url is not None:
        server_url = normalised(server_url)
        stored = stored if server_url == stored.get("server_url") else {}
    given = {"server_url": server_url, "api_key": api_key, "active_stack": active_stack}
    _write({**stored, **{name: value for name, value in given.items() if value is not None}})


def save_active_stack(name: str) -> None:
    """Store the choice of a stack for the stored server. What the environment says could not be changed that way."""
    _, stored = _server()
    if not stored or "ZENWEB_ACTIVE_STACK" in os.environ:
        raise NotConnected(
            f"The environment says what to connect to: choose the stack there too, by ZENWEB_ACTIVE_STACK={name}."
        )
    save(active_stack=name)


def config_folder() -> Path:
    """Where the SDK keeps its file, and the artifacts of runs in the caller's own process."""
    return Path(os.environ.get("ZENWEB_CONFIG_DIR") or click.get_app_dir("zenweb"))


def normalised(url: str) -> str:
    """The address without a slash at its end; without a scheme it is taken for https, on this machine for http."""
    url = url.strip()
    if not url:
        raise NotConnected(
            "No ZenWeb server is configured. Start one with `zenweb up`, or connect to one with `zenweb login URL` "
            "(or set ZENWEB_SERVER_URL and ZENWEB_API_KEY)."
        )
    if not _can_be_address(url if "://" in url else f"https://{url}"):
        raise NotConnected(f"{url!r} is not a server's address: write it like https://zenweb.example.com.")
    if "://" not in url:
        url = f"{'http' if is_this_machine(f'http://{url}') else 'https'}://{url}"
    return url.rstrip("/")


def _can_be_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read only when asked for
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable() and " " not in url


def is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _server() -> tuple[str, dict[str, Any]]:
    """The server's address, and what is stored for it."""
    given = os.environ.get("ZENWEB_SERVER_URL")
    try:
        stored = _read()
    except NotConnected:
        if not given or not (os.environ.get("ZENWEB_API_KEY") or "").strip():
            raise
        stored = {}  # the environment says all that is needed
    url = normalised(given or stored.get("server_url") or "")
    # A stored key belongs to the stored server: another one, named in the environment, must not get to see it.
    return url, stored if url == stored.get("server_url") else {}


def _read() -> dict[str, Any]:
    path = config_folder() / FILE_NAME
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NotConnected(
            f"{path} cannot be read ({error}). Delete it and sign in again with `zenweb login`."
        ) from error
    return stored if isinstance(stored, dict) else {}


def _write(stored: dict[str, Any]) -> None:
    folder = config_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made with mode 600 and put in place whole: the key is at no moment readable by others.
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".connection-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(stored, file, indent=2)
        Path(name).replace(folder / FILE_NAME)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
