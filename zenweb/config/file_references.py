"""Files as values of a configuration: the reference that stands for one, its name and its size. Loads nothing heavy."""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

REFERENCE_KEY = "artifact_version"
MOST_NAME_CHARACTERS = 150
MOST_NAME_BYTES = 200  # file systems take 255, and object stores count what stands before it too
FALLBACK_NAME = "file"
# What some system takes for more than a part of a name; and what only turns the reading direction or hides.
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*]')
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([kKMGT])(i?))?B?")
_UNITS = ("", "kB", "MB", "GB", "TB")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True)
class FileReference:
    """An artifact version where a value is asked for: `{"artifact_version": "<id>"}` in a configuration."""

    artifact_version: str

    def as_json(self) -> dict[str, str]:
        return {REFERENCE_KEY: self.artifact_version}


@dataclass(frozen=True)
class FoundFile:
    """What is told of an artifact version that somebody may give to a parameter."""

    id: str
    name: str
    """Of the file; of the artifact where it is none."""
    size: int | None
    version: int
    made: datetime
    is_upload: bool
    artifact: str
    is_file: bool = True
    """It can be downloaded as one."""

    @property
    def reference(self) -> dict[str, str]:
        return FileReference(self.id).as_json()

    @property
    def size_words(self) -> str:
        return "" if self.size is None else size_words(self.size)

    @property
    def label(self) -> str:
        return ", ".join(filter(None, [self.name, self.size_words]))

    @property
    def origin(self) -> str:
        return "uploaded" if self.is_upload else f"version {self.version} of {self.artifact}"


def reference_in(value: Any) -> FileReference | None:
    """The reference that a JSON value is, if it is one."""
    if not isinstance(value, dict) or value.keys() != {REFERENCE_KEY}:
        return None
    written = value[REFERENCE_KEY]
    try:
        return FileReference(str(UUID(written))) if isinstance(written, str) else None
    except ValueError:
        return None


def references_in(value: Any) -> Iterator[FileReference]:
    """Every reference in a JSON value, at any depth; one as often as it occurs."""
    if (found := reference_in(value)) is not None:
        yield found
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            if isinstance(member, dict | list):
                yield from references_in(member)


def clean_name(name: str) -> str:
    """A name that is one everywhere: without folders, without what cannot be seen, and not too long."""
    last = re.split(r"[/\\]", name)[-1]
    normal = unicodedata.normalize("NFC", last)
    seen = "".join(letter for letter in normal if unicodedata.category(letter) not in _UNSEEN)
    plain = _NOT_IN_NAMES.sub("_", seen).strip().lstrip(".").rstrip(". ")
    return _shortened(plain) or FALLBACK_NAME


def suffix_of(name: str) -> str:
    """`.csv` of `Orders.CSV`; empty where there is none."""
    stem, point, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if point and stem and not re.search(r"[/\\]", suffix) else ""


def wrong_type(name: str, types: Collection[str]) -> str:
    """What is wrong with a file of this name where only these types are taken; empty if nothing is."""
    if not types or suffix_of(name) in types:
        return ""
    return f"{name} is not of a type that is taken here: {', '.join(types)}."


def too_large(limit: int, name: str = "This file") -> str:
    return f"{name} is larger than {size_words(limit)}, which is the limit here."


def parse_size(text: str | int) -> int:
    """Bytes of `50 MB`, `1.5GiB` or a plain number; MB are millions. Raises ValueError."""
    written = _SIZE.fullmatch(str(text).strip())
    if written is None or not (size := _bytes(*written.groups(default=""))):
        raise ValueError(f"{text!r} is no size of a file: write it as 50 MB, 1.5 GB or a number of bytes.")
    return size


def size_words(size: int) -> str:
    """999 bytes, 3.4 MB, 200 MB."""
    if size < 1000:
        return f"{size} byte{'' if size == 1 else 's'}"
    power = min(4, max(1, (len(str(size)) - 1) // 3))
    value, unit = size / 1000**power, _UNITS[power]
    return f"{value:.1f}".removesuffix(".0") + f" {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def _bytes(number: str, letter: str, binary: str) -> int:
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[letter.upper()])


def _shortened(name: str) -> str:
    """Of a long name, the beginning and the suffix, which tells what it is."""
    suffix = name[-20:][name[-20:].rfind(".") :] if "." in name[-20:] else ""
    stem = name[: len(name) - len(suffix)][: MOST_NAME_CHARACTERS - len(suffix)]
    while stem and len(f"{stem}{suffix}".encode()) > MOST_NAME_BYTES:
        stem = stem[:-1]
    return f"{stem}{suffix}"
