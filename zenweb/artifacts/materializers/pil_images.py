"""Images of Pillow, without loss."""

from io import BytesIO
from typing import Any

from PIL import Image

from zenweb.artifacts import store
from zenweb.artifacts.materializers.base import Materializer
from zenweb.artifacts.previews import PreviewDraft, image_preview

_MODES_OF_PNG = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_PREVIEW_SIDE = 800


class ImageMaterializer(Materializer):
    """PNG where it has the image's colour mode, else TIFF."""

    ASSOCIATED_TYPES = (Image.Image,)

    def save(self, value: Image.Image, uri: str) -> None:
        image_format = "PNG" if value.mode in _MODES_OF_PNG else "TIFF"
        data = BytesIO()
        value.save(data, format=image_format)
        store.write_bytes(store.join(uri, f"data.{image_format.lower()}"), data.getvalue())

    def load(self, uri: str) -> Any:
        is_png = store.exists(store.join(uri, "data.png"))
        image = Image.open(BytesIO(store.read_bytes(store.join(uri, "data.png" if is_png else "data.tiff"))))
        image.load()
        return image

    def metadata(self, value: Image.Image) -> dict[str, Any]:
        text = f"Image of {value.width} by {value.height} pixels"
        return super().metadata(text) | {"shape": [value.width, value.height], "mode": value.mode}

    def preview(self, value: Image.Image) -> PreviewDraft:
        small = value.convert("RGBA")
        small.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
        data = BytesIO()
        small.save(data, format="PNG")
        return image_preview(data.getvalue())
