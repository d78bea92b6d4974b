"""Parts of a file: what `Range` and `If-Range` ask for (RFC 9110). Several parts are answered with the whole."""

import re

from zenweb.exceptions import RangeNotSatisfiable

ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII)


def asked_range(asked: str, unless: str, size: int, etag: str) -> range | None:
    """The bytes that are asked for; None: all of them, as where the header cannot be understood.

    `unless` is If-Range: a part of another state of the file would be of no use. Raises RangeNotSatisfiable.
    """
    found = ONE_RANGE.fullmatch(asked)
    if found is None or (unless and unless != etag):
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:  # the last so many bytes
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last), size - 1) + 1 if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise RangeNotSatisfiable(size)
    return range(start, end)
