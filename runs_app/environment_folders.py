"""The environments on this machine: which of them somebody uses, and the end of those that nobody did for long."""

import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

HANDOVER = (
    300.0  # seconds from being asked for until a warm parent has imported the code, more than that may take
)


@dataclass
class Hold:
    """This worker's share in the use of one environment, which ends with the worker whatever ends that."""

    lock: IO[str]
    asked: float


class EnvironmentFolders:
    """Those below one folder, each named after its hash. Who uses one holds a lock that its removal would need.

    How long ago one was used is told by the time of a file beside it, which those who use it renew. Where a clock was
    set forward an environment goes too early, never one that is used, and is made again.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._holds: dict[str, Hold] = {}
        self._lock = threading.Lock()

    def hold(self, name: str) -> bool:
        """Use this one from now on; False when it is not there."""
        with self._lock:
            return self._take(name)

    def renew(self, in_use: Collection[str]) -> list[str]:
        """Use these, and let go of others that nobody asked for lately; what is used."""
        with self._lock:
            for name in in_use:
                self._take(name)
            now = time.monotonic()
            for name in list(self._holds):
                if name not in in_use and now - self._holds[name].asked > HANDOVER:
                    self._let_go(name)
            for hold in self._holds.values():
                os.utime(hold.lock.fileno())
            return list(self._holds)

    def close(self) -> None:
        """Use none any more."""
        with self._lock:
            for name in list(self._holds):
                self._let_go(name)

    def unused_for(self, span: timedelta) -> list[str]:
        """Those that nobody used for so long, the longest first."""
        before = time.time() - span.total_seconds()
        used = {path.name: self._last_use(path) for path in self._root.glob("[!.]*") if self._is_one(path)}
        return sorted((name for name in used if used[name] < before), key=lambda name: used[name])

    def remove(self, name: str) -> bool:
        """False when somebody uses it. Whoever comes meanwhile finds it whole, or not there."""
        lock = self._open(name)
        if lock is None:
            return False
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            # A name as builds in the making have: what is killed in the midst of this is removed like theirs.
            gone = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self._root))
            with suppress(FileNotFoundError):
                (self._root / name).rename(gone / name)
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def _take(self, name: str) -> bool:
        if (held := self._holds.get(name)) is not None:
            held.asked = time.monotonic()
        elif (lock := self._open(name)) is not None:
            fcntl.flock(lock, fcntl.LOCK_SH)  # for no longer than somebody takes to give it another name
            os.utime(lock.fileno())
            self._holds[name] = Hold(lock, time.monotonic())
        if name in self._holds and (self._root / name).exists():
            return True
        self._let_go(name)
        return False

    def _open(self, name: str) -> IO[str] | None:
        try:
            return (self._root / f".{name}.used").open("a")
        except (FileNotFoundError, NotADirectoryError):  # there are none at all yet
            return None

    def _let_go(self, name: str) -> None:
        if (held := self._holds.pop(name, None)) is not None:
            held.lock.close()

    def _last_use(self, folder: Path) -> float:
        marks = [folder, self._root / f".{folder.name}.used"]
        return max(mark.stat().st_mtime for mark in marks if mark.exists())

    def _is_one(self, path: Path) -> bool:
        """Not the wheel of the SDK, which lies beside them."""
        return (path / "pyvenv.cfg").exists()
