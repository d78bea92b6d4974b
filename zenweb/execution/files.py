"""References in an attempt's parameters become what its step asks for: a file, bytes or a table."""

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenweb.artifacts import materializers, store
from zenweb.artifacts.materializers.base import ArtifactNotLoadable
from zenweb.config.file_references import FileReference, suffix_of
from zenweb.config.files import TABLE_TYPES, kind_of
from zenweb.exceptions import FileNotUsable
from zenweb.execution.protocol import GivenFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandas import DataFrame

SHOWN = 300


@dataclass(frozen=True)
class AttemptFiles:
    """The artifact versions that an attempt's parameters refer to, by their ids."""

    artifacts: Mapping[str, GivenFile]

    def path(self, reference: FileReference) -> str:
        """A copy of the step's own, under the file's own name, in the attempt's folder for temporary files."""
        given = self._find(reference)
        with _explained(given):
            if materializers.files.address_of(given.uri, given.materializer) is None:
                raise FileNotUsable(f"{_named(given)} is no file but a {given.data_type}.")
            return str(materializers.load(given.uri, given.materializer))

    def content(self, reference: FileReference) -> bytes:
        given = self._find(reference)
        with _explained(given):
            if (address := materializers.files.address_of(given.uri, given.materializer)) is not None:
                return store.read_bytes(address)
            value = materializers.load(given.uri, given.materializer)
        if not isinstance(value, bytes):
            raise FileNotUsable(f"{_named(given)} is no file and no bytes but a {given.data_type}.")
        return value

    def table(self, reference: FileReference) -> Any:
        """A DataFrame: an artifact that is one, or read from a file as the end of its name says."""
        given = self._find(reference)
        with _explained(given):
            if (address := materializers.files.address_of(given.uri, given.materializer)) is not None:
                return _read_table(address)
            value = materializers.load(given.uri, given.materializer)
        if kind_of(type(value)) != "table":
            raise FileNotUsable(f"{_named(given)} is no file and no table but a {given.data_type}.")
        return value

    def _find(self, reference: FileReference) -> GivenFile:
        found = self.artifacts.get(reference.artifact_version)
        if found is None:
            raise FileNotUsable(
                f"The artifact version {reference.artifact_version} was deleted after the run was started: "
                "upload the file again."
            )
        return found


def _read_table(address: str) -> "DataFrame":
    name = address.rpartition("/")[2]
    read = _READERS.get(suffix_of(name))
    if read is None:
        raise FileNotUsable(f"{name} cannot be read as a table, only {', '.join(TABLE_TYPES)} files can.")
    with store.reading(address) as path:
        try:
            return read(import_module("pandas"), path)
        except ImportError as error:
            raise FileNotUsable(
                f"{name} cannot be read here: {error} Add it to the pipeline's requirements."
            ) from error
        except Exception as error:  # whatever a parser raises about a stranger's file
            reason = " ".join(str(error).split())[:SHOWN] or type(error).__name__
            raise FileNotUsable(f"{name} cannot be read as a table: {reason}") from error


_READERS: Mapping[str, Callable[[Any, Path], "DataFrame"]] = {
    ".csv": lambda pandas, path: pandas.read_csv(path),
    ".tsv": lambda pandas, path: pandas.read_csv(path, sep="\t"),
    ".json": lambda pandas, path: pandas.read_json(path),
    ".jsonl": lambda pandas, path: pandas.read_json(path, lines=True),
    ".parquet": lambda pandas, path: pandas.read_parquet(path),
    ".xlsx": lambda pandas, path: pandas.read_excel(path),
}


@contextmanager
def _explained(given: GivenFile) -> "Iterator[None]":
    try:
        yield
    except (store.ArtifactStoreError, ArtifactNotLoadable) as error:
        raise FileNotUsable(f"{_named(given)} cannot be read: {error}") from error


def _named(given: GivenFile) -> str:
    return f"Artifact {given.name!r}, version {given.artifact_version},"
