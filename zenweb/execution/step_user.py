"""Another user of this machine than the worker's, whom steps and installers run as: what they may reach is the kernel's
to decide. Needs the standard library only."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What lets others change a file, or run it as whom it belongs to.
UNSAFE_MODES = stat.S_ISUID | stat.S_ISGID | stat.S_IWGRP | stat.S_IWOTH
LONGEST_PATH = 4000  # bytes; the system takes 4096


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
        with _opened(folder) as descriptor:
            os.fchown(descriptor, self.uid, self.gid)

    def own_folder(self, folder: Path) -> Path:
        """A folder that it alone has. Raises OSError where it has put a link there."""
        folder.mkdir(parents=True, exist_ok=True)
        with _opened(folder) as descriptor:
            os.fchown(descriptor, self.uid, self.gid)
            os.fchmod(descriptor, 0o700)
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

    Links are taken as they are and never followed, whoever puts one where a file was. A folder is taken back before it
    is looked through: from then on nobody puts anything else into it, and names in it stay what they are.
    """
    waiting = [os.fspath(folder)]
    while waiting:
        here = waiting.pop()
        with suppress(FileNotFoundError), _opened(here) as descriptor:
            os.fchown(descriptor, os.geteuid(), os.getegid())
            os.fchmod(descriptor, _safe(os.fstat(descriptor)))
            for name in os.listdir(descriptor):  # noqa: PTH208  by its descriptor
                path = f"{here}/{name}"
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode) and len(os.fsencode(path)) <= LONGEST_PATH:
                    waiting.append(path)
                else:
                    _take_back(name, descriptor)


def _take_back(name: str, parent: int) -> None:
    """What is no folder, or one so deep that it has no path: that one is closed to everybody else."""
    os.chown(name, os.geteuid(), os.getegid(), dir_fd=parent, follow_symlinks=False)
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        os.chmod(name, stat.S_IRWXU, dir_fd=parent)
    elif not stat.S_ISLNK(found.st_mode) and found.st_mode & UNSAFE_MODES:
        os.chmod(
            name, _safe(found), dir_fd=parent
        )  # the folder is sealed: nobody makes a link of it meanwhile


def _safe(found: os.stat_result) -> int:
    return stat.S_IMODE(found.st_mode) & ~UNSAFE_MODES


@contextmanager
def _opened(folder: Path | str) -> Iterator[int]:
    """A descriptor of a folder, of no link to one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
