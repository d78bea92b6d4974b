"""Figures of matplotlib."""

from io import BytesIO
from typing import Any

from matplotlib.figure import Figure

from zenweb.artifacts.materializers.base import Materializer
from zenweb.artifacts.materializers.pickles import read_pickle, write_pickle
from zenweb.artifacts.previews import PreviewDraft, image_preview

_LONGEST_SIDE = 1600
_MAX_DPI = 150


class FigureMaterializer(Materializer):
    """Pickled, which matplotlib supports for figures, so that they can be drawn again; pages show a PNG."""

    ASSOCIATED_TYPES = (Figure,)

    def save(self, value: Figure, uri: str) -> None:
        write_pickle(value, uri)

    def load(self, uri: str) -> Any:
        return read_pickle(uri)

    def metadata(self, value: Figure) -> dict[str, Any]:
        titles = [axes.get_title() for axes in value.axes if axes.get_title()]
        return super().metadata(", ".join(titles) or "Figure") | {"axes": len(value.axes)}

    def preview(self, value: Figure) -> PreviewDraft:
        image = BytesIO()
        dpi = min(_MAX_DPI, _LONGEST_SIDE / max(value.get_size_inches()))
        value.savefig(image, format="png", dpi=dpi)
        return image_preview(image.getvalue())
