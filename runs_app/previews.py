"""Reading the small files that steps leave beside artifacts for the pages. Nothing is ever loaded or unpickled here."""

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.templatetags.static import static
from django.utils.translation import gettext

from runs_app.found_files import is_within, root_of
from runs_app.models import ArtifactVersion
from templates_app.markdown import render_markdown
from zenweb.artifacts import store
from zenweb.enums import PreviewKind
from zenweb.exceptions import ZenWebError

SIZE_LIMIT = 5 * 1024 * 1024
INLINE_LIMIT = 256 * 1024
IMAGE_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
TEXT_TYPE = "text/plain; charset=utf-8"
# Longer texts are shown as they are: how long it takes to lay one out grows with the square of its length.
RENDER_LIMIT = 16 * 1024
_rendering = threading.Lock()  # whoever asks for the same meanwhile finds it made
# Shown in a frame of its own: no forms, no requests to anywhere, and no scripts but ours that draws figures.
FIGURE_SCRIPTS = ("zenweb/plotly.js", "zenweb/figure.js")
RULES = [
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    "img-src data: blob:",
    "font-src data:",
    "frame-ancestors 'self'",
]
CONTENT_POLICY = "; ".join(["sandbox", *RULES])

# For pages that say nothing about their looks; one that does is left alone, since its colours belong together.
PAGE_STYLE = b"""<style>
:root { color-scheme: light dark; }
body { margin: 1rem 1.25rem; font: 0.95rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { body { background: #1b2126; color: #e4e6e5; } a { color: #9db9ea; } }
table { border-collapse: collapse; }
th, td { padding: 0.3rem 0.75rem; border: 1px solid #8884; }
pre, code { font-family: ui-monospace, monospace; }
img, svg { max-width: 100%; }
</style>"""
HAS_LOOKS = re.compile(rb"<style|<link|<svg|<font|color|background", re.IGNORECASE)
START_OF_PAGE = re.compile(rb"\s*(<!doctype[^>]*>)?\s*(<html[^>]*>)?\s*(<head[^>]*>)?", re.IGNORECASE)


@dataclass(frozen=True)
class ShownPreview:
    """What a page shows of one artifact: `kind` says which of the other fields is set."""

    kind: str
    text: str = ""
    html: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    table: dict[str, Any] = field(default_factory=dict)

    @property
    def is_wide(self) -> bool:
        return self.kind in {"table", "figure", "html", "markdown", "text"}


def show_preview(version: ArtifactVersion) -> ShownPreview:
    """The preview in a form that a template can lay out; never raises for what is missing or damaged."""
    kind = _kind(version)
    in_words = str(version.metadata.get("string_representation", ""))
    if kind is None:
        return ShownPreview("line", text=in_words)
    try:
        uri = preview_uri(version)
        if kind in {PreviewKind.IMAGE, PreviewKind.FIGURE, PreviewKind.HTML}:
            return ShownPreview(kind)
        return _lay_out(kind, _read_for_page(uri, root_of(version)).decode(errors="replace"))
    except (ZenWebError, SuspiciousFileOperation) as error:
        return ShownPreview("line", text=in_words or str(error))


def preview_uri(version: ArtifactVersion) -> str:
    """Where the preview lies. Addresses come from step processes and callers, so it raises SuspiciousFileOperation
    where one leads out of the artifact store, be it by its name, by dots or by a link."""
    name = (version.preview or {}).get("file")
    if not isinstance(name, str) or name != Path(name).name or name in {"", ".", ".."}:
        raise SuspiciousFileOperation(gettext("The name of the preview is not a plain file name."))
    uri, root = store.join(version.uri, name), root_of(version)
    if not root:
        raise SuspiciousFileOperation(
            gettext("The value is kept where the run was executed and cannot be shown here.")
        )
    if not is_within(uri, root):
        raise SuspiciousFileOperation(gettext("The preview lies outside of the artifact store."))
    return uri


def read_preview(version: ArtifactVersion) -> bytes:
    """The preview's bytes, a plain page's with a style, a figure's in a page that draws it.

    Raises ZenWebError where there is none.
    """
    data, kind = read_preview_file(version), _kind(version)
    if kind == PreviewKind.FIGURE:
        return _page_of_figure(data)
    return _with_style(data) if kind == PreviewKind.HTML and not HAS_LOOKS.search(data) else data


def read_preview_file(version: ArtifactVersion) -> bytes:
    """As the step left it. Raises ZenWebError where there is none."""
    with store.open_within(preview_uri(version), root_of(version)) as file:
        data: bytes = file.read(SIZE_LIMIT)
    return data


def content_policy(version: ArtifactVersion, origin: str) -> str:
    """What the preview may do in its frame. `origin`: of this server, which its frame does not share."""
    if _kind(version) != PreviewKind.FIGURE:
        return CONTENT_POLICY
    scripts = " ".join(f"{origin}{static(script)}" for script in FIGURE_SCRIPTS)
    return "; ".join(["sandbox allow-scripts", *RULES, f"script-src {scripts}"])


def content_type(version: ArtifactVersion) -> str:
    """A type that browsers do no more with than show: everything but images and (sandboxed) pages is plain text."""
    kind = _kind(version)
    if kind == PreviewKind.IMAGE:
        name = str((version.preview or {}).get("file"))
        return IMAGE_TYPES.get(Path(name).suffix.lower(), TEXT_TYPE)
    return "text/html; charset=utf-8" if kind in {PreviewKind.HTML, PreviewKind.FIGURE} else TEXT_TYPE


def _kind(version: ArtifactVersion) -> str | None:
    return (version.preview or {}).get("kind")


def _page_of_figure(data: bytes) -> bytes:
    """A page with the figure as data: whatever it says, it is no markup."""
    figure = data.replace(b"<", b"\\u003c")
    scripts = "".join(f'<script src="{static(script)}" defer></script>' for script in FIGURE_SCRIPTS)
    return b"".join(
        [
            b'<!doctype html><html><head><meta charset="utf-8"><title>Figure</title>',
            PAGE_STYLE,
            b"<style>html, body, #figure { height: 100%; margin: 0; }</style>",
            scripts.encode(),
            b'</head><body><div id="figure"></div><script type="application/json" id="data">',
            figure,
            b"</script></body></html>",
        ]
    )


def _with_style(page: bytes) -> bytes:
    """Before all that the page says, so that it has the last word, and after what decides how browsers read it."""
    start = START_OF_PAGE.match(page)
    place = start.end() if start else 0
    return page[:place] + PAGE_STYLE + page[place:]


@lru_cache(maxsize=256)
def _read_for_page(uri: str, root: str) -> bytes:
    """Kept in memory, since an artifact version never changes and a live page asks every second."""
    with store.open_within(uri, root) as file:
        return file.read(INLINE_LIMIT)


def _lay_out(kind: str, text: str) -> ShownPreview:
    if kind == PreviewKind.MARKDOWN and len(text) <= RENDER_LIMIT:
        with _rendering:
            return ShownPreview("markdown", html=render_markdown(text))
    if kind not in {PreviewKind.JSON, PreviewKind.TABLE}:
        return ShownPreview("text", text=text)
    try:
        value = json.loads(text)
    except ValueError:
        return ShownPreview("text", text=text)
    if kind == PreviewKind.TABLE and isinstance(value, Mapping):
        return ShownPreview("table", table=_aligned(value))
    if isinstance(value, Mapping) and value and all(_is_plain(part) for part in value.values()):
        return ShownPreview("metrics", metrics=dict(value))
    if _is_plain(value):
        return ShownPreview("line", text=value if isinstance(value, str) else json.dumps(value))
    return ShownPreview("text", text=json.dumps(value, indent=2, ensure_ascii=False))


def _aligned(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with what decides about alignment: whether a column has numbers and nothing else."""
    names, rows = table.get("columns", []), table.get("rows", [])
    columns = list(zip_longest(*rows))[: len(names)]
    numbers = [_are_numbers([cell for cell in column if cell is not None]) for column in columns]
    return {
        **table,
        "columns": [{"name": name, "is_number": flag} for name, flag in zip_longest(names, numbers)],
        "rows": [
            [{"value": cell, "is_number": flag} for cell, flag in zip_longest(row, numbers)] for row in rows
        ],
    }


def _are_numbers(cells: list[Any]) -> bool:
    return bool(cells) and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)
