"""Steps that print what is hard to keep."""

import sys
import time
from pathlib import Path

from zenweb import pipeline, step


@step(enable_cache=False)
def prints(what: str = "hello", until: str = "") -> None:
    """Print, then wait until the file is there."""
    if what == "garbage":
        sys.stdout.buffer.write(b"\xff\xfe\x00\x80 before\n" + bytes(range(256)) + b"\nafter \xc3\xa9\n")
    elif what == "a long line":
        print("x" * 1_000_000 + " its end")
    elif what == "a lot":
        for number in range(40_000):
            print(f"line {number}")
    else:
        print(what)
    sys.stdout.flush()
    while until and not Path(until).exists():
        time.sleep(0.02)
    print("finished")


@pipeline
def printing_pipeline() -> None:
    prints()
