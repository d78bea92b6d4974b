"""Folders to stand in: where the files beside the code seem to be, without a way to change them."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

# ruff: noqa: PTH115, PTH208


def make_home(home: Path, code_root: str) -> None:
    """Make the folder a warm parent stands in, and go there: the code's own is shared, and not to be written to."""
    home.mkdir(parents=True)
    for name in os.listdir(code_root):
        (home / name).symlink_to(f"{code_root}/{name}")
    os.chdir(home)


@dataclass(frozen=True)
class AttemptHome:
    """A folder for one attempt: where it works, a copy of its parent's home, and where it puts temporary files."""

    folder: Path
    as_made: "list[Content] | None"
    """What its folders held at first; None: it holds files of its own, which are not looked into."""

    @classmethod
    def make(cls, folder: Path) -> "AttemptHome":
        """Made from the current folder. Raises OSError."""
        work, temporary = folder / "work", folder / "tmp"
        for made in (folder, work, temporary):
            made.mkdir()
        has_only_links = True
        with os.scandir(os.getcwd()) as entries:  # noqa: PTH109  # its name: "." of a removed folder seems empty
            for entry in entries:
                _copy(entry, work / entry.name)
                has_only_links = has_only_links and entry.is_symlink()
        return cls(folder, _contents(folder) if has_only_links else None)

    def enter(self) -> None:
        temporary = str(self.folder / "tmp")
        os.chdir(self.folder / "work")
        tempfile.tempdir = temporary
        os.environ["TMPDIR"] = temporary  # noqa: TID251  # for the programs that the step starts

    def is_as_made(self) -> bool:
        """Nothing was added to it, removed from it or replaced in it: the next attempt may have it.

        Making and removing one takes longer than a short step.
        """
        try:
            return self.as_made is not None and self.as_made == _contents(self.folder)
        except OSError:
            return False

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


Content = tuple[int, frozenset[tuple[str, int]]]


def _contents(folder: Path) -> list[Content]:
    return [_content(each) for each in (folder, folder / "work", folder / "tmp")]


def _content(folder: Path) -> Content:
    """When it was changed last, which nobody can set; and what is in it, since two changes may share a moment."""
    with os.scandir(folder) as entries:
        return os.stat(folder).st_ctime_ns, frozenset((entry.name, entry.inode()) for entry in entries)  # noqa: PTH116


def _copy(entry: "os.DirEntry[str]", target: Path) -> None:
    """Links stay links; nearly always there is nothing else."""
    if entry.is_symlink():
        target.symlink_to(os.readlink(entry.path))
    elif entry.is_dir():
        shutil.copytree(entry.path, target, symlinks=True)
    else:
        shutil.copy2(entry.path, target)
