"""Previews in the five kinds that ZenML's clients show."""

import base64
import csv
import html
import io
import json
from dataclasses import dataclass

from django.core.exceptions import SuspiciousFileOperation

from runs_app.models import ArtifactVersion
from runs_app.previews import read_preview_file
from zenweb.enums import PreviewKind
from zenweb.exceptions import DoesNotExist

KINDS = {
    PreviewKind.TABLE: "csv",
    PreviewKind.IMAGE: "image",
    PreviewKind.FIGURE: "json",
    PreviewKind.HTML: "html",
    PreviewKind.MARKDOWN: "markdown",
    PreviewKind.JSON: "json",
    PreviewKind.TEXT: "html",
}


@dataclass(frozen=True)
class Visualization:
    """`value` is text; of an image the base64 of its bytes."""

    type: str
    value: str


def visualization_kind(version: ArtifactVersion) -> str | None:
    """ZenML's word for the preview; None where there is none."""
    kind = (version.preview or {}).get("kind")
    return KINDS[PreviewKind(kind)] if kind in set(PreviewKind) else None


def visualize(version: ArtifactVersion) -> Visualization:
    """The preview. Raises DoesNotExist where there is none, or none that may be shown."""
    kind = visualization_kind(version)
    if kind is None:
        raise DoesNotExist("This artifact version has no visualization.")
    try:
        data = read_preview_file(version)
    except SuspiciousFileOperation as error:
        raise DoesNotExist(str(error)) from error
    return Visualization(kind, _as_text(PreviewKind((version.preview or {})["kind"]), data))


def _as_text(kind: PreviewKind, data: bytes) -> str:
    if kind == PreviewKind.IMAGE:
        return base64.b64encode(data).decode()
    text = data.decode(errors="replace")
    if kind == PreviewKind.TEXT:
        return f"<pre>{html.escape(text)}</pre>"
    return _as_csv(text) if kind == PreviewKind.TABLE else text


def _as_csv(text: str) -> str:
    try:
        table = json.loads(text)
        columns, rows = table["columns"], table["rows"]
    except (ValueError, KeyError, TypeError) as error:
        raise DoesNotExist("The preview of this artifact version is damaged.") from error
    lines = io.StringIO()
    csv.writer(lines).writerows([columns, *rows])
    return lines.getvalue()
