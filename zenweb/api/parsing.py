"""Bodies: JSON, strictly, whatever the header calls it: curl without a header calls it a form."""

import json
import math
from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser, FormParser

from zenweb.exceptions import BodyTooLarge, MalformedRequest
from zenweb.written_numbers import number_of

LONGEST_NUMBER = 4_300  # digits; Python reads no longer ones
MOST_LEVELS = 200


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 has it: no NaN, no Infinity, no key twice."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return parse_json(read_bounded(stream, settings.DATA_UPLOAD_MAX_MEMORY_SIZE))


class BoundedFormParser(FormParser):
    """A form that has no files."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = read_bounded(stream, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        return super().parse(BytesIO(body), media_type, parser_context)


class DeploymentParser(StrictJSONParser):
    """Pipelines have as many steps as their authors want, and each is described."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return parse_json(read_bounded(stream, settings.DEPLOYMENT_LIMIT))


class RawParser(BaseParser):
    """The body as it came."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        # A code archive has a limit of its own, for what it unpacks to; compressed it is smaller.
        return read_bounded(stream, settings.CODE_ARCHIVE_LIMIT)


def read_bounded(stream: IO[bytes], limit: int) -> bytes:
    """The body, unless it is too large; then no more of it is read. Raises BodyTooLarge."""
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise BodyTooLarge(f"The body is larger than this server accepts ({limit} bytes).")
    return body


def parse_json(body: bytes, what: str = "The body") -> Any:
    """The value of a body; an empty one is None. Raises MalformedRequest; `what` is that which is wrong then."""
    if not body.strip():
        return None
    too_deep = f"{what} is nested more than {MOST_LEVELS} levels deep."
    try:
        value = json.loads(
            body,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_once_each,
        )
    except RecursionError as error:
        raise MalformedRequest(too_deep) from error
    except ValueError as error:
        raise MalformedRequest(f"{what} is not valid JSON: {error}") from error
    # Most have fewer brackets than that in all, and need not be looked through.
    if body.count(b"[") + body.count(b"{") > MOST_LEVELS and _is_deep(value):
        raise MalformedRequest(too_deep)
    return value


def _is_deep(value: Any) -> bool:
    """Level by level: what goes through a value later may go into it by calling itself."""
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> int | float:
    number = number_of(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large for a number")
    return number


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(
            f"a number of {len(text):,} digits is longer than {LONGEST_NUMBER:,}, the most that is taken"
        )
    return int(text)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs twice")
    return found
