"""What user code notes about its step, its run and its outputs: as JSON that every database gives back equal."""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from pathlib import PurePath
from typing import Any

from zenweb.artifacts.json_encoding import TAG, Json, decode, encode
from zenweb.artifacts.typed_json import is_numpy_scalar
from zenweb.exceptions import FieldError, ValidationFailed

MOST_BYTES = 100_000
"""Of JSON about one thing; what is larger is an output."""
MOST_LEVELS = 20
LONGEST_NAME = 255
OF_UPLOADS = frozenset({"file_name", "sha256"})
"""What the server alone says of an artifact version: it has seen the file."""
RESERVED = OF_UPLOADS | {"storage_size", "file_count", "string_representation"}
"""What whoever stores an artifact says of it, and limits and the cache go by."""
Noted = dict[str, Json]
"""Values by their names, encoded."""

_PLAIN_KINDS: tuple[type[Any], ...] = (int, float, str, list, tuple)
_SHAPE = "Metadata are values by their names, such as {'accuracy': 0.93}"


def encode_metadata(metadata: object) -> Noted:
    """The values as they are stored. Raises ValidationFailed, naming each that is no metadata."""
    if not isinstance(metadata, Mapping):
        raise ValidationFailed(f"{_SHAPE}, not a {type(metadata).__name__}.")
    noted, errors = dict[str, Json](), list[FieldError]()
    for name, value in metadata.items():
        try:
            noted[_checked_name(name)] = encode(value, _plain)
        except (TypeError, ValueError, RecursionError) as error:
            errors.append(FieldError(f"/{name}", _refusal(value, error)))
    if errors:
        raise ValidationFailed(errors)
    check_metadata(noted)
    return noted


def decode_metadata(noted: Mapping[str, Json]) -> dict[str, Any]:
    """The values that were noted. Raises ValueError for what no `encode_metadata` has made."""
    return {name: decode(value) for name, value in noted.items()}


def check_metadata(noted: Mapping[str, Json]) -> None:
    """Refuse what nobody could read back, or what is too much. Raises ValidationFailed."""
    errors = []
    for name, value in noted.items():
        try:
            _checked_name(name)
            if _levels(value) > MOST_LEVELS:
                raise ValueError(f"This is nested more than {MOST_LEVELS} levels deep.")
            decode(value)
        except (ValueError, RecursionError) as error:
            errors.append(FieldError(f"/{name}", _refusal(value, error)))
    if errors:
        raise ValidationFailed(errors)
    _check_size(noted)


def check_names_about_artifact(noted: Mapping[str, Json]) -> None:
    """Refuse to speak over what is known about an artifact. Raises ValidationFailed."""
    taken = sorted(RESERVED & noted.keys())
    if taken:
        sentence = "This says what was stored and cannot be noted about an artifact: choose another name."
        raise ValidationFailed([FieldError(f"/{name}", sentence) for name in taken])


def joined(noted: Mapping[str, Json], more: Mapping[str, Json]) -> Noted:
    """Both; where a name is in both, the newer value. Raises ValidationFailed where that is too much."""
    both = {**noted, **more}
    _check_size(both)
    return both


def _check_size(noted: Mapping[str, Json]) -> None:
    size = len(json.dumps(noted, ensure_ascii=False).encode(errors="replace"))
    if size > MOST_BYTES:
        raise ValidationFailed(
            f"These are {size:,} bytes of metadata, and {MOST_BYTES:,} about one thing are kept. "
            "Return what is larger as an output of the step."
        )


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{_SHAPE}: the name {name!r} is no text.")
    if not 0 < len(name) <= LONGEST_NAME or name == TAG or not name.isprintable():
        raise ValueError(f"A name has 1 to {LONGEST_NAME} printable characters.")
    return name


def _refusal(value: object, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"This is nested more than {MOST_LEVELS} levels deep, or holds itself."
    if isinstance(error, ValueError):
        return str(error)
    return (
        f"A value of type '{type(value).__qualname__}' is no metadata: give numbers, texts, dates, or lists and "
        "dicts of them; return anything else as an output of the step."
    )


def _levels(value: Json) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if parts is None else 1 + max(map(_levels, parts), default=0)


def _plain(value: object) -> Json:
    """JSON for what `encode` does not know, by what it is like. Raises TypeError."""
    if isinstance(value, Enum):
        return encode(value.value, _plain)
    if isinstance(value, PurePath):
        return encode(str(value))
    if is_numpy_scalar(value):
        return _plain_scalar(value)
    if isinstance(value, Mapping):
        return encode(dict(value), _plain)
    if isinstance(value, datetime):  # a timestamp of pandas; its NaT is not even equal to itself
        is_missing = value != value
        return None if is_missing else encode(datetime.combine(value.date(), value.timetz()))
    for kind in _PLAIN_KINDS:
        if isinstance(value, kind):
            return encode(kind(value), _plain)
    raise TypeError


def _plain_scalar(value: Any) -> Json:
    if value.dtype.kind in "mM":  # finer units than Python's, and NaT
        return encode(value.astype(f"{value.dtype.kind}8[us]").item())
    if value.dtype.kind == "f":  # also the one that is its own item
        return encode(float(value))
    return encode(value.item())
