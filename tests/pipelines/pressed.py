"""Steps that want more than there is."""

import os
import signal
from typing import Annotated

from zenweb import pipeline, step

MEGABYTE = 1024 * 1024


@step(retry={"max_retries": 2})
def eats(megabytes: int = 0) -> None:
    """Take memory until the kernel ends it; without an amount, end as the kernel would end it."""
    eaten = [b"x" * MEGABYTE for _ in range(megabytes)]
    if not eaten:
        os.kill(os.getpid(), signal.SIGKILL)


@step(enable_cache=False)
def fills(megabytes: int = 0) -> tuple[Annotated[int, "small"], Annotated[bytes, "large"]]:
    print(f"about to save {megabytes} MB")
    return megabytes, b"x" * (megabytes * MEGABYTE)


@step(enable_cache=False)
def tells() -> None:
    print("a step that makes nothing")


@pipeline
def hungry_pipeline() -> None:
    eats()


@pipeline
def filling_pipeline() -> None:
    fills()
    tells()
