"""Parameters that take a file: which types do, what a form, a call and the command line may give, and its value."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from importlib.util import find_spec
from operator import or_
from pathlib import Path
from sys import modules
from types import GenericAlias, UnionType
from typing import Annotated, Any, Final, Literal, Protocol, TypeAlias, get_args, get_origin

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from zenweb.config.file_references import (
    REFERENCE_KEY,
    FileReference,
    parse_size,
    reference_in,
    suffix_of,
    too_large,
    wrong_type,
)
from zenweb.config.json_schema import FILE_RULES
from zenweb.exceptions import AuthoringError, FileNotUsable

Kind: TypeAlias = Literal["path", "bytes", "table"]
TABLE_TYPES: Final = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx")
FILES: Final = "zenweb_files"
"""In a validation's context: the FileSource of the step that runs."""
REFERENCE_SCHEMA: Final[dict[str, Any]] = {
    "properties": {REFERENCE_KEY: {"type": "string", "format": "uuid"}},
    "required": [REFERENCE_KEY],
    "additionalProperties": False,
}
_CONTAINERS = (list, tuple, set, frozenset, dict)


class FileSource(Protocol):
    """Where the values of references come from while a step runs. Raises FileNotUsable."""

    def path(self, reference: FileReference) -> str: ...
    def content(self, reference: FileReference) -> bytes: ...
    def table(self, reference: FileReference) -> Any: ...


@dataclass(frozen=True)
class File:
    """Beside a type, which files a parameter takes: `Annotated[Path, File(types=[".csv"], max_size="50 MB")]`.

    `pathlib.Path`, `bytes` and `pandas.DataFrame` take a file without it too, one of any type and of the server's
    limit.
    """

    types: Sequence[str] = ()
    """Ends of names, such as `.csv`. None: any."""
    max_size: str | int | None = None
    """`50 MB`, or a number of bytes. None: as much as the server takes."""

    def __post_init__(self) -> None:
        given = [self.types] if isinstance(self.types, str) else self.types
        types = tuple(dict.fromkeys(f".{each.strip().lstrip('*').lstrip('.').lower()}" for each in given))
        if any(suffix_of(f"x{each}") != each for each in types):
            raise AuthoringError(f"File(types={self.types!r}): name the ends of files, such as '.csv'.")
        object.__setattr__(self, "types", types)
        try:
            size = None if self.max_size is None else parse_size(self.max_size)
        except ValueError as error:
            raise AuthoringError(f"File(max_size={self.max_size!r}): {error}") from error
        object.__setattr__(self, "max_size", size)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kind = kind_of(source)
        if kind is None:
            return handler.generate_schema(with_files(Annotated[source, self]))
        writing = core_schema.plain_serializer_function_ser_schema
        if kind == "table":
            return core_schema.with_info_plain_validator_function(
                self._table, serialization=writing(_table_as_json)
            )
        inner = handler(source)
        return core_schema.with_info_wrap_validator_function(
            self._path if kind == "path" else _content,
            inner,
            serialization=core_schema.wrap_serializer_function_ser_schema(_as_json, schema=inner),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        if schema["type"] == "function-plain":
            return {"type": "object", **REFERENCE_SCHEMA, FILE_RULES: self.rules("table")}
        written = handler(schema)
        if schema["type"] != "function-wrap":
            return written  # of several types: those that take a file say so themselves
        kind: Kind = "bytes" if written.get("format") == "binary" else "path"
        return {**written, "type": ["object", "string"], **REFERENCE_SCHEMA, FILE_RULES: self.rules(kind)}

    def rules(self, kind: Kind) -> dict[str, Any]:
        """The keyword by which forms know such a parameter, and the validator its limits."""
        types = self.types or (_readable_tables() if kind == "table" else ())
        said = {"types": list(types), "max_size": self.max_size}
        return {"as": kind, **{name: value for name, value in said.items() if value}}

    def _path(self, value: Any, handler: Any, info: core_schema.ValidationInfo) -> Any:
        files, reference = _source_in(info), _reference(value)
        if reference is not None:
            return reference if files is None else handler(files.path(reference))
        path = handler(value)
        if files is not None:
            self._check(path)
        return path

    def _check(self, path: Path) -> None:
        """The limits of a text that names a file where the step runs: nobody could look at it before."""
        if sentence := wrong_type(path.name, self.types):
            raise FileNotUsable(sentence)
        if isinstance(self.max_size, int) and path.is_file() and path.stat().st_size > self.max_size:
            raise FileNotUsable(too_large(self.max_size, path.name))

    def _table(self, value: Any, info: core_schema.ValidationInfo) -> Any:
        files, reference = _source_in(info), _reference(value)
        if reference is not None:
            return reference if files is None else files.table(reference)
        if kind_of(type(value)) == "table":
            return value
        raise ValueError("a table is given as a file")


def with_files(hint: Any, marker: File | None = None) -> Any:
    """A type that also takes files where it has a Path, bytes or a DataFrame: by itself, or in, or or.

    What is inside of classes stays as it is: there, `File()` beside the type says so.
    """
    if get_origin(hint) is Annotated:
        return _annotated_with_files(hint, marker)
    if kind := kind_of(hint):
        marker = marker or File()
        if kind == "table":
            _check_tables(marker)
        return Annotated[hint, marker]
    members = get_args(hint)
    if get_origin(hint) not in (typing.Union, UnionType, *_CONTAINERS) or not members:
        return hint
    marked = tuple(member if member is Ellipsis else with_files(member, marker) for member in members)
    if all(one is other for one, other in zip(marked, members, strict=True)):
        return hint
    origin = get_origin(hint)
    return reduce(or_, marked) if origin in (typing.Union, UnionType) else GenericAlias(origin, marked)


def kind_of(hint: Any) -> Kind | None:
    """As what a parameter of this type takes a file, if it does."""
    if hint is Path:
        return "path"
    if hint is bytes:
        return "bytes"
    # By the module that is there already: nothing here imports pandas.
    pandas = modules.get("pandas")
    return "table" if pandas is not None and hint is getattr(pandas, "DataFrame", None) else None


def _annotated_with_files(hint: Any, marker: File | None) -> Any:
    base, *extras = get_args(hint)
    own = next((extra for extra in extras if isinstance(extra, File)), marker)
    others = [extra for extra in extras if not isinstance(extra, File)]
    if any(getattr(extra, "path_type", None) in {"dir", "new"} for extra in others):
        return hint  # pydantic's DirectoryPath and NewPath: no file
    marked = with_files(base, own)
    if marked is base:
        if own is not None and own is not marker:
            raise AuthoringError(
                f"File() stands beside pathlib.Path, bytes or pandas.DataFrame, not beside {_name_of(base)}."
            )
        return hint
    # A table has no schema of its own that the others could add to: there the marker comes first, else last.
    if kind_of(base) in {"path", "bytes"}:
        return _annotated(base, [*others, own or File()])
    return _annotated(marked, others)


def _annotated(base: Any, extras: Sequence[Any]) -> Any:
    return reduce(lambda hint, extra: Annotated[hint, extra], extras, base)


def _name_of(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _check_tables(marker: File) -> None:
    if unread := [each for each in marker.types if each not in TABLE_TYPES]:
        raise AuthoringError(
            f"A table cannot be read from {', '.join(unread)} files, only from {', '.join(TABLE_TYPES)}."
        )


def _readable_tables() -> tuple[str, ...]:
    """A spreadsheet is asked for only where the package is there that reads it."""
    return TABLE_TYPES if find_spec("openpyxl") else tuple(each for each in TABLE_TYPES if each != ".xlsx")


def _content(value: Any, handler: Any, info: core_schema.ValidationInfo) -> Any:
    files, reference = _source_in(info), _reference(value)
    if reference is None:
        return handler(value)
    return reference if files is None else handler(files.content(reference))


def _source_in(info: core_schema.ValidationInfo) -> FileSource | None:
    """None while a pipeline is put together: then a reference stays one."""
    source: FileSource | None = (info.context or {}).get(FILES)
    return source


def _reference(value: Any) -> FileReference | None:
    return value if isinstance(value, FileReference) else reference_in(value)


def _as_json(value: Any, handler: Any) -> Any:
    return value.as_json() if isinstance(value, FileReference) else handler(value)


def _table_as_json(value: Any) -> Any:
    if isinstance(value, FileReference):
        return value.as_json()
    raise ValueError("a table has no JSON form")
