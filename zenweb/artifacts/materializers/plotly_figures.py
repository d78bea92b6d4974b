"""Figures of plotly, as plotly's own JSON."""

from typing import Any

import plotly.io
from plotly.basedatatypes import BaseFigure

from zenweb.artifacts import store
from zenweb.artifacts.materializers.base import Materializer
from zenweb.artifacts.previews import MAX_TABLE_ROWS, PreviewDraft, table_preview

_FILE = "data.json"


class PlotlyFigureMaterializer(Materializer):
    """Drawing such a figure takes a browser and megabytes of script, so a page shows what is drawn, as a table."""

    ASSOCIATED_TYPES = (BaseFigure,)

    def save(self, value: BaseFigure, uri: str) -> None:
        store.write_bytes(store.join(uri, _FILE), plotly.io.to_json(value, validate=False).encode())

    def load(self, uri: str) -> Any:
        return plotly.io.from_json(store.read_bytes(store.join(uri, _FILE)).decode())

    def metadata(self, value: BaseFigure) -> dict[str, Any]:
        return super().metadata(value.layout.title.text or "Figure") | {"traces": len(value.data)}

    def preview(self, value: BaseFigure) -> PreviewDraft:
        rows = [[trace.name or "", trace.type, _point_count(trace)] for trace in value.data[:MAX_TABLE_ROWS]]
        return table_preview(["trace", "type", "points"], rows, total_rows=len(value.data))


def _point_count(trace: Any) -> int | None:
    values = next(
        (trace[key] for key in ("y", "x", "z", "values") if key in trace and trace[key] is not None), None
    )
    return None if values is None else len(values)
