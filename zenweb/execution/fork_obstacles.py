"""What a module's import may leave behind that no forked process could go on with."""

import gc
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from zenweb.execution import processes

# Threads of libraries that know how to be forked.
HARMLESS_THREADS = frozenset({"jemalloc_bg_thd"})
# A thread that was joined may be on the kernel's list for a moment longer.
THREADS_SETTLE = 0.3  # seconds


def open_sockets() -> frozenset[str]:
    """The sockets of this process, by the kernel's names."""
    found = set[str]()
    with suppress(OSError):
        for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208  # the names only
            with suppress(OSError):
                found.add(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
    return frozenset(name for name in found if name.startswith("socket:"))


def obstacle_to_forking(sockets_before: frozenset[str]) -> str | None:
    """What stands against forking this process after an import, in words; None: nothing."""
    return (
        _python_thread()
        or _native_threads()
        or _child_process()
        or _connection(sockets_before)
        or _used_gpu()
    )


def _python_thread() -> str | None:
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    return f"the thread {others[0].name!r}, which still runs" if others else None


def _native_threads() -> str | None:
    deadline = time.monotonic() + THREADS_SETTLE
    while (count := _count_native_threads()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return f"{count} thread{'s' * (count > 1)} of a library (OpenMP, for instance)" if count else None


def _count_native_threads() -> int:
    names = []
    with suppress(OSError):
        for task in os.listdir("/proc/self/task"):  # noqa: PTH208
            with suppress(OSError):
                names.append(Path("/proc/self/task", task, "comm").read_text().strip())
    return max(0, sum(name not in HARMLESS_THREADS for name in names) - 1)


def _child_process() -> str | None:
    return "a process that it started" if next(processes.children_of(os.getpid()), None) else None


def _connection(sockets_before: frozenset[str]) -> str | None:
    if open_sockets() - sockets_before:
        return "an open connection or socket"
    sqlite3 = sys.modules.get("sqlite3")
    if sqlite3 is not None and any(_is_open(found, sqlite3) for found in gc.get_objects()):
        return "an open SQLite connection"
    return None


def _is_open(candidate: object, sqlite3: Any) -> bool:
    if not issubclass(type(candidate), sqlite3.Connection):
        return False
    with suppress(sqlite3.ProgrammingError):  # it is closed
        return bool(candidate.total_changes >= 0)  # type: ignore[attr-defined]
    return False


def _used_gpu() -> str | None:
    torch = sys.modules.get("torch")
    is_initialized = getattr(getattr(torch, "cuda", None), "is_initialized", None)
    return "a GPU that CUDA is using" if is_initialized is not None and is_initialized() else None
