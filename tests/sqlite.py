"""The file that holds the tests' SQLite database; those of killed test runs are removed."""

import os
from pathlib import Path

import psutil

FOLDER = Path(__file__).parent.parent / "build" / "sqlite"


def new_database_file() -> Path:
    """A file of this process's own that does not exist yet."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file in FOLDER.iterdir():
        owner = file.name.partition(".")[0]
        if not psutil.pid_exists(int(owner)) or int(owner) == os.getpid():
            file.unlink(missing_ok=True)
    return FOLDER / f"{os.getpid()}.sqlite3"
