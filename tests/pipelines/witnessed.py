"""Steps that leave a trace of when they ran, for tests that kill what runs them."""

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

from zenweb import get_step_context, pipeline, step


@step(enable_cache=False)
def works(
    before: int = 0, folder: str = "", seconds: float = 0.0, again: float = 0.0, daemon: bool = False
) -> int:
    """Write when it starts and, after `seconds` (`again` at later attempts), when it ends.

    At most one attempt of a step may be at it at any time.
    """
    context = get_step_context()
    name = f"{context.pipeline_run.id}-{context.step_name}"
    with Path(folder, f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _note(folder, name, "overlap")
        _note(folder, name, "start")
        if daemon:
            # In a session of its own, holding this process's output, and the lock for as long as it lives.
            subprocess.Popen(["sleep", "60"], start_new_session=True, pass_fds=[lock.fileno()])
        time.sleep(seconds if context.attempt == 1 else again)
        _note(folder, name, "end")
    return before + 1


@step(enable_cache=False)
def joins(left: int, right: int) -> int:
    return left + right


@step(enable_cache=False)
def dies() -> None:
    """End the worker that runs it: the parent of the process that this one was forked from."""
    stat = Path(f"/proc/{os.getppid()}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
    time.sleep(60)


@step(retry={"max_retries": 2})
def crashes() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@pipeline
def witnessed_pipeline() -> None:
    """Five steps: one, two side by side, one that joins them, one more."""
    first = works(id="first")
    joined = joins(works(first, id="left"), works(first, id="right"))
    works(joined, id="last")


@pipeline
def single_pipeline() -> None:
    works(id="only")


@pipeline
def deadly_pipeline() -> None:
    dies()


@pipeline
def crashing_pipeline() -> None:
    crashes()


@step(enable_cache=False)
def numbers(count: int = 8) -> list[int]:
    return list(range(count))


@step(enable_cache=False)
def sums(numbers: list[int]) -> int:
    return sum(numbers)


@pipeline
def spread_pipeline() -> None:
    """A step that runs once for each of some numbers, and one that adds up what they give out."""
    sums(works.map(before=numbers()))


def _note(folder: str, name: str, word: str) -> None:
    """One line in one write, so that lines of several processes never mix."""
    attempt = get_step_context().attempt
    line = f"{name} {attempt} {word} {time.monotonic()}\n"
    with Path(folder, "notes").open("a") as notes:
        notes.write(line)
