"""Saving values to the artifact store and loading them: the functions that the rest of ZenWeb uses."""

import logging
from typing import Annotated, Any, get_args, get_origin

from zenweb.artifacts import store
from zenweb.artifacts.class_paths import class_path
from zenweb.artifacts.json_encoding import Json, encode
from zenweb.artifacts.materializers import documents, files, json_values, registry
from zenweb.artifacts.materializers.base import (
    ArtifactNotLoadable,
    ArtifactNotSavable,
    Materializer,
    SavedArtifact,
    Unsuited,
)
from zenweb.artifacts.materializers.registry import preload
from zenweb.artifacts.previews import Preview, PreviewDraft, displayed
from zenweb.artifacts.strings import CSVString, HTMLString, JSONString, MarkdownString

__all__ = [
    "ArtifactNotLoadable",
    "ArtifactNotSavable",
    "Materializer",
    "Preview",
    "PreviewDraft",
    "SavedArtifact",
    "Unsuited",
    "documents",
    "files",
    "json_values",
    "load",
    "preload",
    "save",
]

logger = logging.getLogger(__name__)


def save(value: object, declared_type: object, uri: str) -> SavedArtifact:
    """Store the value in the folder `uri`, which nobody else writes to, and describe it.

    `declared_type` is the output's annotation or None. Only the value's own type decides how it is stored, except
    that a text declared to be HTML, Markdown, CSV or JSON is taken as such. Raises `ArtifactNotSavable` or
    `ArtifactStoreError`.
    """
    value = _as_declared(value, declared_type)
    materializer = registry.write(value, uri)
    size = store.size(uri)
    return SavedArtifact(
        materializer=class_path(type(materializer)),
        data_type=class_path(type(value)),
        type=materializer.ASSOCIATED_ARTIFACT_TYPE,
        metadata=_metadata(materializer, value) | {"storage_size": size},
        preview=_write_preview(materializer, value, uri),
    )


def load(uri: str, materializer: str) -> Any:
    """The value stored in the folder `uri` by the materializer of that name.

    Runs user code: never called in a server. Raises `ArtifactNotLoadable` or `ArtifactStoreError`.
    """
    return registry.read(uri, materializer)


_DOCUMENTS = (CSVString, HTMLString, JSONString, MarkdownString)


def _as_declared(value: object, declared_type: object) -> object:
    if get_origin(declared_type) is Annotated:
        declared_type = get_args(declared_type)[0]
    if type(value) is str and isinstance(declared_type, type) and issubclass(declared_type, _DOCUMENTS):
        return declared_type(value)
    return value


def _metadata(materializer: Materializer, value: object) -> dict[str, Json]:
    try:
        facts: dict[str, Json] = encode(materializer.metadata(value), displayed)
    except Exception:
        # The value is safe; what is said about it is not worth a failed step.
        logger.warning("No metadata of a value of type '%s'.", class_path(type(value)), exc_info=True)
        return {}
    return facts


def _write_preview(materializer: Materializer, value: object, uri: str) -> Preview | None:
    try:
        draft = materializer.preview(value)
        if draft is None:
            return None
        if draft.data is not None:
            store.write_bytes(store.join(uri, draft.file), draft.data)
    except Exception:
        logger.warning("No preview of a value of type '%s'.", class_path(type(value)), exc_info=True)
        return None
    return Preview(draft.kind, draft.file)
