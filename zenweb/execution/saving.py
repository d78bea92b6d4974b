"""Puts a value of a step into the artifact store and tells all that it takes to find, load and judge it."""

from enum import Enum
from math import isfinite
from typing import Any

from zenweb.artifacts import materializers
from zenweb.artifacts.previews import storable
from zenweb.execution.protocol import Plain, StoredArtifact

PLAIN_LIMIT = 200  # characters of a text, bits of a number


def store_value(value: Any, hint: Any, uri: str) -> StoredArtifact:
    """`hint`: what the value was declared to be; Any where nothing says so."""
    saved = materializers.save(value, hint, uri)
    return StoredArtifact(
        uri=uri,
        materializer=saved.materializer,
        data_type=saved.data_type,
        type=saved.type,
        metadata=saved.metadata,
        preview={"kind": saved.preview.kind, "file": saved.preview.file} if saved.preview else None,
        length=len(value) if isinstance(value, list | tuple) else None,
        value=_plain(value),
    )


def _plain(value: Any) -> Plain | None:
    """What a condition can look at; of numpy's numbers and of enums, what they stand for."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, str) and (len(value) > PLAIN_LIMIT or storable(value) != value):
        return None
    if isinstance(value, int) and value.bit_length() > PLAIN_LIMIT:
        return None
    return value if isinstance(value, Plain) else None
