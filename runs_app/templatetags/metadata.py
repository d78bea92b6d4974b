"""Metadata as rows that a page lays out: what user code noted, and what is known of a value anyway."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from urllib.parse import urlsplit

from django import template
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext

from runs_app.models import ArtifactVersion, Execution
from runs_app.templatetags.runs import figure, humanised
from zenweb.artifacts.json_encoding import decode
from zenweb.artifacts.previews import displayed

register = template.Library()

# What materializers say of a value, which is of less interest than what somebody took the trouble to note.
FACTS = frozenset(
    {
        *(
            "string_representation",
            "storage_size",
            "shape",
            "columns",
            "dtypes",
            "dtype",
            "null_counts",
            "name",
        ),
        *("length", "mode", "axes", "traces", "file_count", "parameters", "python_version"),
    }
)
SIZES = frozenset({"storage_size"})
MOST_ROWS, LONGEST_TEXT = 100, 1_000


@dataclass(frozen=True)
class Row:
    """A name with its value in words, or with rows of its own."""

    name: str
    text: str = ""
    link: str = ""
    rows: list["Row"] = field(default_factory=list)


@register.filter
def noted(thing: Execution | ArtifactVersion) -> list[Row]:
    """What user code noted about a run, a step or an output."""
    values = thing.metadata
    if isinstance(thing, ArtifactVersion):
        values = {name: value for name, value in values.items() if name not in FACTS}
    return _rows((humanised(name), name, value) for name, value in values.items())


@register.filter
def facts(version: ArtifactVersion) -> list[Row]:
    """What its materializer says of a value, but for the one sentence that stands in for a preview."""
    known = {name: value for name, value in version.metadata.items() if name in FACTS}
    known.pop("string_representation", None)
    if isinstance(known.get("columns"), list) and isinstance(known.get("dtypes"), list):
        known["columns"] = dict(zip(known["columns"], known.pop("dtypes"), strict=False))
    return _rows((humanised(name), name, value) for name, value in known.items())


def _rows(named: Iterable[tuple[str, str, Any]]) -> list[Row]:
    rows = [_row(title, name, value) for title, name, value in named]
    more = len(rows) - MOST_ROWS
    return (
        rows
        if more <= 0
        else [*rows[:MOST_ROWS], Row("…", gettext("%(number)s more") % {"number": f"{more:,}"})]
    )


def _row(title: str, name: str, encoded: Any) -> Row:
    try:
        value = decode(encoded)
    except ValueError:  # no step of ours has noted that
        value = encoded
    if isinstance(value, Mapping) and value and all(_is_plain(part) for part in value.values()):
        return Row(title, rows=_rows((str(key), "", part) for key, part in value.items()))
    if name in SIZES and isinstance(value, int):
        return Row(title, filesizeformat(value))
    text = _in_words(value)
    if name == "shape":
        text = text.replace(", ", " × ")
    return Row(title, text, link=text if _is_web_address(text) else "")


def _in_words(value: Any) -> str:
    if isinstance(value, list | tuple | set | frozenset) and all(_is_plain(part) for part in value):
        text = ", ".join(figure(part) for part in value) or "–"
    elif isinstance(value, datetime):
        text = value.isoformat(sep=" ")
    elif _is_plain(value):
        text = figure(value)
    else:
        text = json.dumps(displayed(value), ensure_ascii=False)
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | date | time)


def _is_web_address(text: str) -> bool:
    if not text.startswith(("http://", "https://")) or " " in text:
        return False
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False
