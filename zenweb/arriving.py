"""Files that arrive piece by piece: such a file is there whole, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def arriving(target: Path) -> Iterator[Path]:
    """Where to write what is to be at `target`, whose folder is made. Where that fails, `target` is as it was."""
    place = target.resolve()  # what a link points to is written, and not the link
    if place.exists() and not place.is_file():
        yield place  # a device or a pipe, which nothing may take the place of
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{uuid4().hex}.part")
    try:
        yield part
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
