"""What the server's processes are told through their environment."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from zenweb.cli.broker import broker_url
from zenweb.cli.data_folder import DataFolder
from zenweb.exceptions import ZenWebError

# Unlike `python -m`, keep the current folder off the path: a user's `random.py` there must not become ours.
PYTHON = (sys.executable, "-P")


class ManagementFailed(ZenWebError):
    """One of Django's commands failed."""


class DatabaseNotPrepared(ZenWebError):
    """The database lacks tables."""


def own_environment() -> Mapping[str, str]:
    return os.environ  # noqa: TID251  to pass it on to children, not to configure anything by it


def server_environment(folder: DataFolder, **settings: str) -> dict[str, str]:
    """The caller's environment, completed by `settings` and from the data folder; what the caller has set stays."""
    defaults = {
        "ZENWEB_BROKER_URL": broker_url(folder),
        "DJANGO_SETTINGS_MODULE": "zenweb.settings",
        **settings,
    }
    environment = {
        **own_environment(),
        **{name: own_environment().get(name) or default for name, default in defaults.items()},
        "ZENWEB_DATA_DIR": str(folder.path),
        "PYTHONUNBUFFERED": "1",
    }
    has_own_key = bool(environment.get("ZENWEB_SECRET_KEY"))
    if not has_own_key:
        environment["ZENWEB_SECRET_KEY"] = folder.secret_key()
    if not environment.get("ZENWEB_ENCRYPTION_KEYS"):
        # Whoever has a key of their own has one for all machines, and each has a data folder.
        environment["ZENWEB_ENCRYPTION_KEYS"] = " ".join(folder.encryption_keys(makes_one=not has_own_key))
    return environment


def reachable(host: str) -> str:
    """The address by which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  # compared, not listened on


def require_tables(folder: DataFolder, environment: Mapping[str, str]) -> None:
    """Say so where the database has no tables yet, or those of an older version."""
    done = _run("migrate", "--check", env=environment, cwd=folder.path)
    if done.returncode == 1 and not done.stderr.strip():
        raise DatabaseNotPrepared(
            "The database has no tables yet, or those of an older version: run"
            f" `zenweb manage --data-dir {shlex.quote(str(folder.path))} migrate` first."
        )
    _check(done)


def manage(*arguments: str, env: Mapping[str, str], cwd: Path) -> str:
    """Run one of Django's commands to its end; what it printed."""
    done = _run(*arguments, env=env, cwd=cwd)
    _check(done)
    return done.stdout


def _run(*arguments: str, env: Mapping[str, str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    # In a group of its own: on Ctrl-C, `run` ends it and there is one message, ours.
    return subprocess.run(
        [*PYTHON, "-m", "django", *arguments],
        capture_output=True,
        text=True,
        env=env,
        cwd=cwd,
        process_group=0,
        check=False,
    )


def _check(done: "subprocess.CompletedProcess[str]") -> None:
    if done.returncode:
        last_line = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
        raise ManagementFailed(f"`{done.args[len(PYTHON) + 2]}` failed: {last_line}")
