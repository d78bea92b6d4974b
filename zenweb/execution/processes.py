"""Linux's ways of making sure that no process outlives its owner; elsewhere they do less and say so."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
IS_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True) if IS_LINUX else None


def die_with_parent(signal_number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process the signal when its parent ends."""
    _prctl(PR_SET_PDEATHSIG, signal_number)


def outlive_parent() -> None:
    """Take `die_with_parent` back."""
    _prctl(PR_SET_PDEATHSIG, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none of them is ever lost sight of."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def gain_no_privileges() -> None:
    """From here on no program, such as `su` or `sudo`, makes this process or one that it starts somebody else."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def children_of(pid: int) -> Iterator[int]:
    tasks = f"/proc/{pid}/task"
    with suppress(OSError):
        for task in os.listdir(tasks):  # noqa: PTH208  # several times faster, and asked after every step
            with suppress(OSError), open(f"{tasks}/{task}/children", "rb", buffering=0) as children:  # noqa: PTH123
                yield from map(int, children.read().split())


def threads_of(pid: int) -> int:
    """How many threads a process has, those of its libraries among them; 0 where nobody says so."""
    with suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    return 0


def descendants_of(pid: int) -> Iterator[int]:
    """Every process below this one, whatever group or session it moved to."""
    waiting = list(children_of(pid))
    while waiting:
        child = waiting.pop()
        yield child
        waiting.extend(children_of(child))


def memory_of(pid: int) -> int:
    """Bytes: its own pages, and its share of those that it has in common with others (PSS); 0 where nobody says so."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024
    return 0


def seconds_worked(pid: int | None) -> float:
    """Processor time that a process has used; 0 where nobody says so."""
    with suppress(OSError, ValueError, IndexError):
        # After the name, which is in parentheses and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def send(pid: int, signal_number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal_number)


def send_to_all_below(pid: int, signal_number: int) -> None:
    for descendant in list(descendants_of(pid)):
        send(descendant, signal_number)


def end_left_over(mark: str, session: int | None = None, patience: float = 5.0) -> list[int]:
    """Kill what was started with this mark in its environment, or is in the session, and wait until that is gone.

    Returns what lives on all the same. `mark` is `NAME=value`; whatever a marked process starts inherits it, in
    whichever session, unless it is given an environment without it.
    """
    deadline = time.monotonic() + patience
    while (left := list(_left_over(mark.encode(), session))) and time.monotonic() < deadline:
        for pid in left:
            send(pid, signal.SIGKILL)
        time.sleep(0.01)
    return left


def _left_over(mark: bytes, session: int | None) -> Iterator[int]:
    """The living; an ended one may wait for its burial."""
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc") if IS_LINUX else [])):  # noqa: PTH208
        with suppress(OSError, IndexError):
            # After the name, which is in parentheses and may hold anything: state, parent, group, session.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if fields[0] not in "ZX" and (int(fields[3]) == session or _is_marked(pid, mark)):
                yield pid


def _is_marked(pid: int, mark: bytes) -> bool:
    with suppress(OSError):  # somebody else's
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _prctl(option: int, value: int) -> None:
    if _libc is not None and _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
