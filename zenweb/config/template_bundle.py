"""A run template with its code in one file: a zip of the template's document and the identical code archive."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zenweb.config.code_archive import BYTES_LIMIT, check_archive
from zenweb.config.template_file import (
    FrozenPipeline,
    TemplateDocument,
    read_template_file,
    write_template_file,
)
from zenweb.exceptions import CodeArchiveRefused, FieldError, ValidationFailed

DOCUMENT: Final = "template.yaml"
CODE: Final = "code.tar.gz"
SUFFIX: Final = ".zip"
LIMIT: Final = 2 * BYTES_LIMIT
"""Bytes of the whole, and of each of its two files."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same files give the same bytes, whenever they are put together


@dataclass(frozen=True)
class TemplateBundle:
    """A document that says which pipeline, and that pipeline's code, whose hash was checked."""

    document: TemplateDocument
    pipeline: FrozenPipeline
    code: bytes
    """The tar, gzip-compressed: byte for byte what the server had."""


def bundle(document: TemplateDocument, code: bytes, name: str = "The bundle") -> TemplateBundle:
    """Put both together. Raises ValidationFailed, CodeArchiveRefused where the code is not the document's."""
    if document.pipeline is None:
        raise ValidationFailed([FieldError("/pipeline", f"{name} does not say which pipeline it runs.")])
    try:
        check_archive(code, sha256=document.pipeline.sha256)
    except CodeArchiveRefused as error:
        raise CodeArchiveRefused(f"{name}: {error}") from error
    return TemplateBundle(document, document.pipeline, code)


def write_bundle(bundle: TemplateBundle) -> bytes:
    """The same bundle is the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (
            (DOCUMENT, write_template_file(bundle.document).encode()),
            (CODE, bundle.code),
        ):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def read_bundle(path: Path) -> TemplateBundle:
    """A bundle that nobody vouches for, once all of it proved right. Raises ValidationFailed."""
    try:
        if path.stat().st_size > LIMIT:
            raise ValidationFailed(f"{path.name} has more than {LIMIT:,} bytes: this is no template bundle.")
        content = path.read_bytes()
    except OSError as error:
        raise ValidationFailed(f"The bundle {str(path)!r} cannot be read: {error}.") from error
    return open_bundle(content, path.name)


def open_bundle(content: bytes, name: str) -> TemplateBundle:
    """The same of bytes; `name` is told in errors."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = sorted(entry.filename for entry in archive.infolist())
            if names != sorted([DOCUMENT, CODE]):
                raise ValidationFailed(
                    f"{name} is no template bundle: that is a zip of {DOCUMENT} and {CODE}, and nothing else."
                )
            text, code = _read(archive, DOCUMENT, name), _read(archive, CODE, name)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValidationFailed(f"{name} is no readable zip: {error}.") from error
    try:
        document = read_template_file(text.decode(), f"{name}/{DOCUMENT}")
    except UnicodeDecodeError as error:
        raise ValidationFailed(f"{name}/{DOCUMENT} is no text in UTF-8.") from error
    return bundle(document, code, name)


def is_bundle(path: Path) -> bool:
    return path.suffix.lower() == SUFFIX


def _read(archive: zipfile.ZipFile, entry: str, name: str) -> bytes:
    """However little an entry says it holds, no more than this is read."""
    with archive.open(entry) as opened:
        content = opened.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise ValidationFailed(f"{name}/{entry} has more than {LIMIT:,} bytes.")
    return content
