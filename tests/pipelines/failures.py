"""Steps that end in every way a step can end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pydantic import BaseModel, model_validator

from zenweb import ParameterError, pipeline, step

ERRORS = {"raise": ValueError("the data is empty"), "blame": ParameterError("how", "not this way")}


@step
def ends(how: str = "well", folder: str = "") -> str:
    """End in the way that is asked for."""
    if folder:
        Path(folder, f"started-{os.getpid()}").touch()
    print(f"about to end: {how}")
    if how in ERRORS:
        raise ERRORS[how]
    if how == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "exit":
        os._exit(3)
    if how == "sys.exit":
        sys.exit(4)
    if how in ("stubborn", "hang with daemon", "leave daemon"):
        _leave_a_daemon(folder)
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how in ("stubborn", "hang with daemon", "hang"):
        time.sleep(60)
    if how == "fork and return" and os.fork():
        time.sleep(0.5)
        Path(folder, "ended").touch()
    return how


@step
def follows(before: str) -> str:
    return before.upper()


@step
def stands_alone() -> int:
    return 1


@pipeline
def fragile_pipeline() -> None:
    follows(ends())
    stands_alone()


@step(retry={"max_retries": 2})
def fails_twice(folder: str = "") -> int:
    """Succeeds at the third attempt."""
    marks = Path(folder)
    tries = len(list(marks.glob("try-*")))
    (marks / f"try-{tries}").touch()
    if tries < 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    return tries


@pipeline
def retried_pipeline() -> None:
    fails_twice()


class Window(BaseModel):
    start: int
    end: int

    @model_validator(mode="after")
    def check_order(self) -> "Window":
        if self.end < self.start:
            raise ValueError("it ends before it starts")
        return self


@step
def looks_through(windows: list[Window]) -> int:
    return len(windows)


@pipeline
def particular_pipeline() -> None:
    looks_through()


def _leave_a_daemon(folder: str) -> None:
    """A grandchild in a session of its own that holds this process's output."""
    daemon = subprocess.Popen(["sleep", "61"], start_new_session=True)
    Path(folder, "daemon").write_text(str(daemon.pid))


def _share(of: int) -> float:
    return 1 / of


@pipeline
def raising_pipeline(parts: int = 0) -> None:
    ends(str(_share(parts)))
