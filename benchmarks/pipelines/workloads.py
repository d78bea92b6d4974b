"""What is measured: steps that do nothing, as a chain, side by side, and alone."""

import time
from pathlib import Path

from zenweb import pipeline, step

WIDTH = 40


@step(enable_cache=False)
def tells(path: str = "") -> None:
    """Write when the first line of user code ran."""
    now = time.monotonic()
    if path:
        Path(path).write_text(str(now))


@step(enable_cache=False)
def nothing() -> int:
    return 0


@step(enable_cache=False)
def passes_on(before: int) -> int:
    return before


@pipeline
def single() -> None:
    tells(id="only")


@pipeline
def chain() -> None:
    value = nothing()
    for _ in range(WIDTH - 1):
        value = passes_on(value)


@pipeline
def fan_out() -> None:
    for _ in range(WIDTH):
        nothing()
