"""Plain Python values, containers of them and records, as one JSON file."""

import json
from typing import Any

from zenweb.artifacts import store
from zenweb.artifacts.class_paths import class_path
from zenweb.artifacts.json_encoding import TAG, Json, NotEncodable, tagged
from zenweb.artifacts.materializers import registry
from zenweb.artifacts.materializers.base import Materializer, Unsuited
from zenweb.artifacts.previews import (
    MAX_LINE_CHARACTERS,
    MAX_TEXT_BYTES,
    PreviewDraft,
    json_preview,
    text_preview,
)
from zenweb.artifacts.typed_json import decode_typed, encode_typed
from zenweb.enums import PreviewKind

_FILE = "data.json"
_TAG_BYTES = TAG.encode()
# Each is a folder of its own; a container of more of them is kept better in one piece.
_MAX_LEAVES = 100


class JsonMaterializer(Materializer):
    """Whatever `typed_json` can encode; other parts, such as a table in a dict, are kept beside it in their own way."""

    def save(self, value: Any, uri: str) -> None:
        leaves: list[object] = []

        def leaf(part: object) -> Json:
            if part is value or len(leaves) == _MAX_LEAVES or not registry.has_own_materializer(part):
                raise NotEncodable(part)
            leaves.append(part)
            return tagged("leaf", f"leaf_{len(leaves)}")

        try:
            tree = encode_typed(value, leaf)
        except (NotEncodable, RecursionError) as error:
            raise Unsuited(str(error)) from error
        materializers = {
            f"leaf_{number}": class_path(type(registry.write(part, store.join(uri, f"leaf_{number}"))))
            for number, part in enumerate(leaves, start=1)
        }
        document = tagged("with leaves", tree, materializers=materializers) if leaves else tree
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._data = text.encode()
        store.write_bytes(store.join(uri, _FILE), self._data)

    def load(self, uri: str) -> Any:
        data = store.read_bytes(store.join(uri, _FILE))
        document = json.loads(data)
        if _TAG_BYTES not in data:
            return document
        materializers: dict[str, str] = {}
        if isinstance(document, dict) and document.get(TAG) == "with leaves":
            materializers, document = document["materializers"], document["value"]
        return decode_typed(
            document,
            lambda _, part: registry.read(store.join(uri, part["value"]), materializers[part["value"]]),
        )

    def metadata(self, value: Any) -> dict[str, Any]:
        facts = super().metadata(value)
        return (
            facts | {"length": len(value)}
            if isinstance(value, (str, list, tuple, dict, set, frozenset))
            else facts
        )

    def preview(self, value: Any) -> PreviewDraft | None:
        if isinstance(value, str) and (len(value) > MAX_LINE_CHARACTERS or "\n" in value):
            return text_preview(value)
        if len(self._data) <= MAX_TEXT_BYTES and _TAG_BYTES not in self._data:
            return PreviewDraft(PreviewKind.JSON, _FILE)
        return json_preview(value)
