"""Figures of plotly, as plotly's own JSON."""

from typing import Any

import plotly.io
from plotly.basedatatypes import BaseFigure

from zenweb.artifacts import store
from zenweb.artifacts.materializers.base import Materializer
from zenweb.artifacts.previews import MAX_FIGURE_BYTES, MAX_TABLE_ROWS, PreviewDraft, table_preview
from zenweb.enums import PreviewKind

_FILE = "data.json"


class PlotlyFigureMaterializer(Materializer):
    """A browser draws such a figure, from what is saved. Of a very large one a page lists the traces."""

    ASSOCIATED_TYPES = (BaseFigure,)

    def save(self, value: BaseFigure, uri: str) -> None:
        store.write_bytes(store.join(uri, _FILE), _to_json(value))

    def load(self, uri: str) -> Any:
        return plotly.io.from_json(store.read_bytes(store.join(uri, _FILE)).decode())

    def metadata(self, value: BaseFigure) -> dict[str, Any]:
        return super().metadata(value.layout.title.text or "Figure") | {"traces": len(value.data)}

    def preview(self, value: BaseFigure) -> PreviewDraft:
        if len(_to_json(value)) <= MAX_FIGURE_BYTES:
            return PreviewDraft(PreviewKind.FIGURE, _FILE)
        rows = [[trace.name or "", trace.type, _point_count(trace)] for trace in value.data[:MAX_TABLE_ROWS]]
        return table_preview(["trace", "type", "points"], rows, total_rows=len(value.data))


def _to_json(value: BaseFigure) -> bytes:
    return str(plotly.io.to_json(value, validate=False)).encode()


def _point_count(trace: Any) -> int | None:
    values = next(
        (trace[key] for key in ("y", "x", "z", "values") if key in trace and trace[key] is not None), None
    )
    return None if values is None else len(values)
