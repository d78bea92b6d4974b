"""What is measured: steps that do nothing, alone, as a chain, side by side, and in layers."""

import time
from pathlib import Path
from typing import Any

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


@step(enable_cache=False)
def joins(first: int = 0, second: int = 0, third: int = 0) -> int:
    return 0


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


def _layers(count: int, width: int) -> None:
    """Layers of steps; each but those of the first waits for up to three of the layer before."""
    before: list[Any] = []
    for _ in range(count):
        layer = []
        for place in range(width):
            parents = {(place + offset) % width for offset in range(3)} if before else set()
            layer.append(joins(*([before[parent] for parent in sorted(parents)])))
        before = layer


@pipeline
def layers_100() -> None:
    _layers(10, 10)


@pipeline
def layers_10000() -> None:
    _layers(100, 100)
