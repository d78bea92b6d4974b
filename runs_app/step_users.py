"""Whom steps run as. Where the worker is root that is somebody else, who can read neither its secrets nor its data."""

import logging
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

from zenweb.artifacts import store
from zenweb.exceptions import ZenWebError
from zenweb.execution.step_user import StepUser

logger = logging.getLogger(__name__)
OWN_ACCOUNT = "zenweb-steps"  # taken where the machine has it
NOBODY = 65534
SAME = "worker"  # says that steps shall run as the worker does
PROBE = "import zenweb.execution.warm_parent"
PROBE_LIMIT = 60  # seconds
# Prints those of the paths that it can open.
OPENING = """
import os, sys
for path in sys.argv[1:]:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        continue
    print(path)
"""
# What steps have to enter, in the data folder; the rest of it is none of theirs.
ENTERED = ("artifacts", "code", "environments", "scratch")


@dataclass(frozen=True)
class Isolation:
    """Whom steps run as; None: as the worker does. `sentence` says so, and why."""

    user: StepUser | None
    sentence: str


def isolate_steps() -> Isolation:
    """Find whom steps shall run as, and open and close the data folder for them.

    Raises ZenWebError where ZENWEB_STEP_USER names somebody whom they cannot run as, or who reads secrets nevertheless.
    """
    isolation = find_isolation()
    if (user := isolation.user) is None:
        return isolation
    _open_and_close(user)
    if not (opened := _opened_by(user)):
        return isolation
    sentence = (
        f"Steps run as {user.name} (user {user.uid}), who can read {', '.join(opened)}: close that to others."
    )
    if settings.STEP_USER:
        raise ZenWebError(sentence)
    return Isolation(user, sentence)


def find_isolation() -> Isolation:
    """The same, and nothing is changed."""
    named = settings.STEP_USER
    if named == SAME or (not named and os.geteuid() != 0):
        return _together("ZENWEB_STEP_USER says so" if named else "the worker is not root")
    if os.geteuid() != 0:
        raise ZenWebError(
            "ZENWEB_STEP_USER needs a worker that is root. Start it as root, or leave that out."
        )
    user = _user(named) if named else _user(OWN_ACCOUNT, otherwise=NOBODY)
    if obstacle := _obstacle(user):
        if named:
            raise ZenWebError(f"Steps cannot run as {named}, as ZENWEB_STEP_USER wants: {obstacle}")
        return _together(obstacle)
    sentence = f"Steps run as {user.name} (user {user.uid}): they cannot read the worker's secrets and data."
    return Isolation(user, sentence)


def _together(reason: str) -> Isolation:
    sentence = f"Steps run as the worker's own user and can read all that it can: {reason.rstrip('.')}."
    return Isolation(None, sentence)


def _user(named: str, otherwise: int | None = None) -> StepUser:
    try:
        found = pwd.getpwuid(int(named)) if named.isdecimal() else pwd.getpwnam(named)
    except KeyError as error:
        if otherwise is not None:
            return _user(str(otherwise))
        if not named.isdecimal():
            sentence = f"ZENWEB_STEP_USER names {named!r}, whom this machine does not know."
            raise ZenWebError(f"{sentence} Make the account, or name a user by number.") from error
        return _checked(StepUser(int(named), int(named), named))
    return _checked(StepUser(found.pw_uid, found.pw_gid, found.pw_name))


def _checked(user: StepUser) -> StepUser:
    if user.uid == 0:
        raise ZenWebError("ZENWEB_STEP_USER is root, which isolates nothing. Name another user.")
    if user.gid == 0:
        raise ZenWebError(
            f"The group of {user.name} is root's, which isolates nothing. Give them another group."
        )
    return user


def _obstacle(user: StepUser) -> str:
    """Why steps cannot run as this user here, as a sentence; "": they can."""
    if closed := user.obstacle_to(settings.DATA_DIR.parent):
        return (
            f"{user.name} may not enter {closed}, where the data folder is. Move it, as to /var/lib/zenweb."
        )
    if shared := next((path for path in _secrets(settings.DATA_DIR) if _group_of(path) == user.gid), None):
        return f"{shared} belongs to the group of {user.name}. Give it to another group."
    try:
        _run_as(user, PROBE)
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()
        return f"{user.name} cannot import ZenWeb with {sys.executable}: {said[-1] if said else error}"
    except (OSError, subprocess.SubprocessError) as error:
        return f"{user.name} cannot start {sys.executable}: {error}"
    return ""


def _opened_by(user: StepUser) -> list[str]:
    """Which secrets the user can open now that they are closed: a link may lead to an open one."""
    data: Path = settings.DATA_DIR
    links = (path for path in data.iterdir() if path.is_symlink() and not path.is_dir())
    return _run_as(user, OPENING, *_secrets(data), *links).splitlines()


def _run_as(user: StepUser, program: str, *arguments: Path) -> str:
    """What it printed. Raises OSError, SubprocessError."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        check=True,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PROBE_LIMIT,
        cwd="/",
        env=user.environment(settings.STEP_ENVIRONMENT, Path("/")),
        **user.popen_options(),
    )
    return done.stdout


def _group_of(path: Path) -> int | None:
    with suppress(FileNotFoundError):
        return path.stat().st_gid
    return None


def _open_and_close(user: StepUser) -> None:
    """Let others pass through the data folder, and close to them what lies in it beside what steps use."""
    data: Path = settings.DATA_DIR
    for path in _secrets(data):
        with suppress(FileNotFoundError):  # another process's temporary file
            path.chmod(path.stat().st_mode & 0o700)
    for name in ENTERED:
        folder = data / name
        folder.mkdir(exist_ok=True)
        folder.chmod(folder.stat().st_mode | 0o755)
    data.chmod(data.stat().st_mode | 0o711)
    uploads = store.local_folder(settings.ARTIFACT_STORE_URI)
    if uploads is not None and (closed := user.obstacle_to(uploads)):
        logger.warning("Steps run as %s, who may not enter %s: no artifact can be kept.", user.name, closed)


def _secrets(data: Path) -> Iterator[Path]:
    """Files of the data folder itself, its logs, and the database if it is a file."""
    yield from (path for path in data.iterdir() if not path.is_dir() and not path.is_symlink())
    yield from (path for path in (data / "logs",) if path.is_dir())
    if connection.vendor == "sqlite":
        database = str(connection.settings_dict["NAME"])
        yield from (Path(f"{database}{suffix}") for suffix in ("", "-wal", "-shm"))
