"""Template files in a folder: found, read, told apart, with the code that lies beside them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from zenweb.config.code_archive import check_archive
from zenweb.config.template_bundle import is_bundle, read_bundle
from zenweb.config.template_file import LIMIT, TemplateDocument, read_template_file
from zenweb.config.yaml_text import read
from zenweb.exceptions import CodeArchiveRefused, FieldError, ValidationFailed

CODE_FOLDER: Final = "code"
SUFFIXES: Final = {".yaml", ".yml", ".zip"}
MOST_FILES: Final = 10_000


@dataclass(frozen=True)
class TemplateFile:
    """A document and where it was found; of a bundle, with its code."""

    path: Path
    document: TemplateDocument
    bundled: bytes | None = None

    @property
    def name(self) -> str:
        return self.document.name

    @cached_property
    def code(self) -> bytes | None:
        """The code archive that the bundle has or that lies beside the file, its hash checked; None: neither."""
        if self.bundled is not None or self.document.pipeline is None:
            return self.bundled
        sha256 = self.document.pipeline.sha256
        path = code_path(self.path, sha256)
        if not path.is_file():
            return None
        content = path.read_bytes()
        try:
            check_archive(content, sha256=sha256)
        except CodeArchiveRefused as error:
            raise CodeArchiveRefused(f"{path}: {error}") from error
        return content

    def told(self, error: ValidationFailed) -> ValidationFailed:
        """What a server says of places in the document, with the lines of the file."""
        lines = None if is_bundle(self.path) else read(self.path.read_text(encoding="utf-8"))
        return ValidationFailed(
            [
                FieldError(
                    one.pointer,
                    one.message
                    if lines is None or not one.pointer
                    else f"{self.path}, line {lines.line_of(one.pointer)}: {one.message}",
                )
                for one in error.errors
            ]
        )


def code_path(beside: Path, sha256: str) -> Path:
    """Where the code of a template file lies that is no bundle."""
    return beside.parent / CODE_FOLDER / f"{sha256}.tar.gz"


def read_template_files(paths: Iterable[Path]) -> list[TemplateFile]:
    """All that are named or lie below a folder that is, by the templates' names.

    Raises ValidationFailed with what is wrong in any of them, and where two say the same template.
    """
    found, errors = list[TemplateFile](), list[FieldError]()
    for path in paths:
        for file in _files_at(path):
            try:
                found.append(_read(file))
            except ValidationFailed as error:
                errors += error.errors
    places: dict[str, Path] = {}
    for each in found:
        if (former := places.setdefault(each.name, each.path)) != each.path:
            errors.append(FieldError("", f"{former} and {each.path} both say the template {each.name!r}."))
    if errors:
        raise ValidationFailed(errors)
    return sorted(found, key=lambda each: each.name)


def _read(path: Path) -> TemplateFile:
    if is_bundle(path):
        opened = read_bundle(path)
        return TemplateFile(path, opened.document, opened.code)
    try:
        if path.stat().st_size > 4 * LIMIT:
            raise ValidationFailed(f"{path} is too large for a template file.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationFailed(f"{path} cannot be read: {error}.") from error
    return TemplateFile(path, read_template_file(text, str(path)))


def _files_at(path: Path) -> Iterator[Path]:
    """Every template file; hidden ones and folders are passed over, and links are not followed."""
    if not path.is_dir():
        yield path
        return
    for number, each in enumerate(sorted(path.iterdir())):
        if number > MOST_FILES:
            raise ValidationFailed(f"{path} holds more than {MOST_FILES} files.")
        if each.name.startswith(".") or (each.is_dir() and each.is_symlink()):
            continue
        if each.is_dir() or each.suffix.lower() in SUFFIXES:
            yield from _files_at(each)
