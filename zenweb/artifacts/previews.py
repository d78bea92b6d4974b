"""Bounded extracts of artifacts, made while the value is at hand, that pages show without ever loading it.

Unlike `json_encoding`, what is made here is for eyes only: not-a-number is the text "NaN", a missing cell is null.
"""

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import PurePath
from typing import Any
from uuid import UUID

from zenweb.artifacts.json_encoding import Json
from zenweb.artifacts.typed_json import is_numpy_scalar
from zenweb.enums import PreviewKind

EXTRACT = "preview."
"""How the names of files begin that hold an extract, and not the value itself."""
MAX_TEXT_BYTES = 100_000
MAX_DOCUMENT_BYTES = 1_000_000
"""An HTML report cut in the middle shows nothing; one with some pictures in it stays below this."""
MAX_IMAGE_BYTES = 2_000_000
MAX_FIGURE_BYTES = 2_000_000
MAX_TABLE_ROWS = 50
MAX_TABLE_COLUMNS = 50
MAX_CELL_CHARACTERS = 500
MAX_LINE_CHARACTERS = 1_000

_MAX_JSON_VALUES = 2_000
_MAX_JSON_DEPTH = 12
_MAX_INT_BITS = 10_000


@dataclass(frozen=True)
class Preview:
    """A small file beside the value, and how to show it."""

    kind: PreviewKind
    file: str
    """Its name directly under the artifact's address; never a path."""


@dataclass(frozen=True)
class PreviewDraft:
    """A preview before it is written. `data=None`: the file is one that holds the value itself and is small enough."""

    kind: PreviewKind
    file: str
    data: bytes | None = None


def text_preview(text: str) -> PreviewDraft:
    return PreviewDraft(PreviewKind.TEXT, "preview.txt", cut(text))


def html_preview(html: str) -> PreviewDraft:
    """The document itself, or the beginning of its source where it is too long."""
    data = storable(html).encode()
    if len(data) > MAX_DOCUMENT_BYTES:
        return text_preview(html)
    return PreviewDraft(PreviewKind.HTML, "preview.html", data)


def markdown_preview(markdown: str) -> PreviewDraft:
    return PreviewDraft(PreviewKind.MARKDOWN, "preview.md", cut(markdown))


def json_preview(value: object) -> PreviewDraft:
    """Indented JSON of what `displayed` makes of the value; cut as a text where even that is long."""
    data = json.dumps(displayed(value), ensure_ascii=False, indent=2).encode()
    if len(data) > MAX_TEXT_BYTES:
        return text_preview(data.decode())
    return PreviewDraft(PreviewKind.JSON, "preview.json", data)


def table_preview(
    columns: Sequence[object],
    rows: Sequence[Sequence[object]],
    *,
    total_rows: int,
    total_columns: int | None = None,
) -> PreviewDraft:
    """A table's head; the caller has cut it to at most `MAX_TABLE_ROWS` by `MAX_TABLE_COLUMNS`."""
    table = {
        "columns": [cell(name) if isinstance(name, str) else line(name) for name in columns],
        "rows": [[cell(item) for item in row] for row in rows],
        "total_rows": total_rows,
        "total_columns": len(columns) if total_columns is None else total_columns,
    }
    return PreviewDraft(PreviewKind.TABLE, "preview.json", json.dumps(table, ensure_ascii=False).encode())


def image_preview(png: bytes) -> PreviewDraft:
    return PreviewDraft(PreviewKind.IMAGE, "preview.png", png)


def cut(text: str, limit: int = MAX_TEXT_BYTES) -> bytes:
    """At most `limit` bytes of UTF-8, saying so where something is missing."""
    # Whatever the width of its characters, no more than this many of them can fit.
    data = storable(text[: limit + 1]).encode()
    if len(data) <= limit and len(text) <= limit:
        return data
    note = "\n… (cut)".encode()
    return data[: limit - len(note)].decode(errors="ignore").encode() + note


def line(value: object, limit: int = MAX_LINE_CHARACTERS) -> str:
    """One bounded text that stands for the value. Raises what the value's own `__repr__` raises."""
    text = value if isinstance(value, str) else _representation.repr(value)
    return storable(text if len(text) <= limit else f"{text[: limit - 1]}…")


def cell(value: object) -> Json:
    """JSON for one cell of a table: null where there is no value, a number where there is one, else a text."""
    if value is None or isinstance(value, bool):
        return value
    shown = displayed(value)
    if isinstance(shown, str):
        return line(shown, MAX_CELL_CHARACTERS)
    return shown if isinstance(shown, (int, float)) else line(value, MAX_CELL_CHARACTERS)


def displayed(value: object) -> Json:
    """Strict JSON that shows the value to a person; long and deep ones lose their tails."""
    return _Display().show(value, _MAX_JSON_DEPTH)


def storable(text: str) -> str:
    """The text with what no database and no UTF-8 file takes replaced by the replacement character."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


class _Display:
    """One walk through a value, with a budget that all its parts share."""

    def __init__(self) -> None:
        self._left = _MAX_JSON_VALUES

    def show(self, value: object, depth: int) -> Json:
        self._left -= 1
        if isinstance(value, Enum):
            return self.show(value.value, depth)
        if value is None or isinstance(value, (bool, str, int, float)):
            return _shown_scalar(value)
        if isinstance(value, (Mapping, list, tuple, AbstractSet)):
            return self._container(value, depth) if depth else "…"
        if isinstance(value, (datetime, date, time)):
            return value.isoformat()
        return str(value) if isinstance(value, (Decimal, UUID, PurePath)) else self._object(value, depth)

    def _container(self, value: Any, depth: int) -> Json:
        if isinstance(value, Mapping):
            shown = {
                line(key, MAX_CELL_CHARACTERS): self.show(item, depth - 1)
                for key, item in islice(value.items(), max(self._left, 0))
            }
            return shown if len(shown) == len(value) else shown | {"…": f"{len(value) - len(shown):,} more"}
        items = [self.show(item, depth - 1) for item in islice(value, max(self._left, 0))]
        return items if len(items) == len(value) else [*items, f"… {len(value) - len(items):,} more"]

    def _object(self, value: Any, depth: int) -> Json:
        fields = getattr(value, "__dict__", None)
        if fields and _is_record(value):
            return self._container(fields, depth) if depth else "…"
        if not is_numpy_scalar(value):
            return line(value)
        if value.dtype.kind == "f":  # not by `item()`: a `longdouble` is its own item
            return _shown_scalar(float(value))
        return _shown_scalar(value.item()) if value.dtype.kind in "biu" else line(str(value))


def _is_record(value: object) -> bool:
    return hasattr(value, "__dataclass_fields__") or hasattr(value, "__pydantic_fields__")


def _shown_scalar(value: Any) -> Json:
    if isinstance(value, str):
        return line(str(value), 2 * MAX_LINE_CHARACTERS)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else line(value)
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


class _Representation(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write out an integer of more than some thousand digits.
        bits = x.bit_length()
        return super().repr_int(x, level) if bits < _MAX_INT_BITS else f"<integer of {bits:,} bits>"


_representation = _Representation()
_representation.maxlist = _representation.maxtuple = _representation.maxset = _representation.maxfrozenset = (
    20
)
_representation.maxdict = 20
_representation.maxstring = _representation.maxother = _representation.maxlong = MAX_LINE_CHARACTERS
