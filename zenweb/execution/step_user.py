"""Another user of this machine than the worker's, whom steps and installers run as: what they may reach is the kernel's
to decide. Needs the standard library only."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNSAFE_MODES = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True)
class StepUser:
    uid: int
    gid: int
    name: str

    def popen_options(self) -> dict[str, Any]:
        """For `subprocess.Popen`. What it makes can be read by all, as the web server has to."""
        return {"user": self.uid, "group": self.gid, "extra_groups": [], "umask": 0o022}

    def environment(self, given: Mapping[str, str], home: Path) -> dict[str, str]:
        """The variables with those that would lead to the worker's own user replaced."""
        own = {"HOME": str(home), "USER": self.name, "LOGNAME": self.name}
        return {**given, **{name: value for name, value in own.items() if name in given or name == "HOME"}}

    def give(self, folder: Path) -> None:
        """Let it work in this folder, which is made if it has to be."""
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, self.uid, self.gid, follow_symlinks=False)

    def own_folder(self, folder: Path) -> Path:
        """A folder that it alone has."""
        self.give(folder)
        folder.chmod(0o700)
        return folder

    def obstacle_to(self, path: Path) -> Path | None:
        """The first folder on the way, or the path itself, that it may not enter; None: it can go there."""
        return next((each for each in (*reversed(path.parents), path) if not self._may_enter(each)), None)

    def _may_enter(self, folder: Path) -> bool:
        found = folder.stat()
        allowed = stat.S_IXOTH
        if found.st_uid == self.uid:
            allowed = stat.S_IXUSR
        elif found.st_gid == self.gid:
            allowed = stat.S_IXGRP
        return bool(found.st_mode & allowed)


def seal(folder: Path) -> None:
    """Take a folder back with all that is in it: from now on nobody but this process's user changes it.

    Links are taken as they are and never followed, whoever puts one where a file was; what would make a program run as
    somebody else is taken from files.
    """
    uid, gid = os.geteuid(), os.getegid()
    for name, parent in _entries(folder):
        with suppress(FileNotFoundError):
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode) and found.st_mode & UNSAFE_MODES:
                _clear(name, parent, found.st_mode)
    with suppress(FileNotFoundError):
        os.chown(folder, uid, gid, follow_symlinks=False)


def _entries(folder: Path) -> Iterator[tuple[str, int]]:
    """A folder before what is in it: once it is taken back, nobody puts anything else into it."""
    for _, folders, files, here in os.fwalk(folder, follow_symlinks=False):
        os.chown(here, os.geteuid(), os.getegid())
        yield from ((name, here) for name in (*folders, *files))


def _clear(name: str, parent: int, mode: int) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    try:
        os.fchmod(descriptor, stat.S_IMODE(mode) & ~UNSAFE_MODES)
    finally:
        os.close(descriptor)
