"""Bytes, and files and folders of the local disk."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from zenweb.artifacts import store
from zenweb.artifacts.class_paths import class_path
from zenweb.artifacts.materializers.base import ArtifactNotSavable, Materializer
from zenweb.artifacts.previews import (
    MAX_DOCUMENT_BYTES,
    MAX_IMAGE_BYTES,
    MAX_TABLE_ROWS,
    MAX_TEXT_BYTES,
    PreviewDraft,
    html_preview,
    image_preview,
    markdown_preview,
    table_preview,
    text_preview,
)

_BYTES_FILE = "data.bin"
_PATH_FOLDER = "path"


class BytesMaterializer(Materializer):
    """Bytes as they are."""

    ASSOCIATED_TYPES = (bytes,)

    def save(self, value: bytes, uri: str) -> None:
        store.write_bytes(store.join(uri, _BYTES_FILE), value)

    def load(self, uri: str) -> bytes:
        return store.read_bytes(store.join(uri, _BYTES_FILE))

    def metadata(self, value: bytes) -> dict[str, Any]:
        return super().metadata(value[:100]) | {"length": len(value)}


class PathMaterializer(Materializer):
    """The file or the whole folder that a path leads to. Who loads it gets a copy of their own, of the same name."""

    ASSOCIATED_TYPES = (Path,)

    def save(self, value: Path, uri: str) -> None:
        if not value.exists():
            raise ArtifactNotSavable(
                f"The step returned the path '{value}', but there is no such file or folder."
            )
        name = value.resolve().name
        store.upload(value, address_for(uri, name))

    def load(self, uri: str) -> Path:
        folder = store.join(uri, _PATH_FOLDER)
        [name] = store.list(folder)
        target = Path(tempfile.mkdtemp(prefix="zenweb-artifact-"))
        # Where a process ends without this, its own temporary folder is what has to be removed.
        atexit.register(shutil.rmtree, target, ignore_errors=True)
        store.download(store.join(folder, name), target / name)
        return target / name

    def metadata(self, value: Path) -> dict[str, Any]:
        facts = super().metadata(value.resolve().name)
        return facts | {"file_count": sum(1 for _ in _files_below(value))} if value.is_dir() else facts

    def preview(self, value: Path) -> PreviewDraft | None:
        if value.is_dir():
            return _listing_preview(value)
        make = _PREVIEWS_BY_SUFFIX.get(value.suffix.lower())
        return make(value) if make else None


def address_of(uri: str, materializer: str) -> str | None:
    """Where in the store the file or folder lies that an artifact is, if it is one: to be read without a copy."""
    if materializer != PATH_MATERIALIZER:
        return None
    folder = store.join(uri, _PATH_FOLDER)
    [name] = store.list(folder)
    return store.join(folder, name)


def address_for(uri: str, name: str) -> str:
    """Where a file of this name has to lie to be the artifact at `uri`."""
    return store.join(uri, _PATH_FOLDER, name)


PATH_MATERIALIZER = class_path(PathMaterializer)


def _files_below(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _listing_preview(folder: Path) -> PreviewDraft:
    files = _files_below(folder)
    rows = [[str(file.relative_to(folder)), file.stat().st_size] for file in islice(files, MAX_TABLE_ROWS)]
    return table_preview(["file", "bytes"], rows, total_rows=len(files))


def _beginning(file: Path, limit: int) -> str:
    with file.open("rb") as opened:
        return opened.read(limit + 1).decode(errors="replace")


def _png_preview(file: Path) -> PreviewDraft | None:
    return image_preview(file.read_bytes()) if file.stat().st_size <= MAX_IMAGE_BYTES else None


def _as_text(file: Path) -> PreviewDraft:
    return text_preview(_beginning(file, MAX_TEXT_BYTES))


_PREVIEWS_BY_SUFFIX: dict[str, Callable[[Path], PreviewDraft | None]] = {
    ".html": lambda file: html_preview(_beginning(file, MAX_DOCUMENT_BYTES)),
    ".md": lambda file: markdown_preview(_beginning(file, MAX_TEXT_BYTES)),
    ".png": _png_preview,
    **dict.fromkeys(
        (".txt", ".csv", ".tsv", ".json", ".log", ".py", ".sql", ".toml", ".yaml", ".yml"), _as_text
    ),
}
