"""Files of an artifact store that only fsspec can reach. Loaded by `store` when the first such address appears."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import fsspec

from zenweb.artifacts.store import OUTSIDE, TooManyEntries, temporary_folder

# Stores without folders; asking their drivers for one may create a bucket out of a misspelt name.
_FLAT_PROTOCOLS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "r2"})


class RemoteFiles:
    """Files behind one protocol. Uploads are not renamed into place: object stores show them only when complete."""

    def __init__(self, protocol: str) -> None:
        self._files = fsspec.filesystem(protocol)
        self._has_folders = protocol not in _FLAT_PROTOCOLS

    def open(self, path: str) -> BinaryIO:
        with _as_os_error():
            return cast(BinaryIO, self._files.open(path, "rb"))

    def open_within(self, path: str, root: str) -> BinaryIO:
        """There are no links, and whether dots lead up is the driver's to decide."""
        if not path.startswith(root.rstrip("/") + "/") or ".." in path.split("/"):
            raise OSError(errno.EXDEV, OUTSIDE)
        return self.open(path)

    def exists(self, path: str) -> bool:
        # Not `fs.exists`: it answers "no" to every error, an unreachable store included.
        try:
            with _as_os_error():
                self._files.info(path)
        except FileNotFoundError:
            return False
        return True

    def list(self, path: str) -> Sequence[str]:
        with _as_os_error():
            return sorted(name.rstrip("/").rpartition("/")[2] for name in self._files.ls(path, detail=False))

    def size(self, path: str) -> int:
        with _as_os_error():
            return int(self._files.du(path, total=True))

    def files_below(self, path: str, most: int) -> Iterator[str]:
        with _as_os_error():
            root = str(self._files._strip_protocol(path)).rstrip("/")
            found = sorted(self._files.find(path))
        if len(found) > most:
            raise TooManyEntries(f"There are more than {most} files in {path}.")
        yield from (name.removeprefix(root).lstrip("/") for name in found)

    def write_bytes(self, path: str, data: bytes) -> None:
        with _as_os_error():
            self._make_parent(path)
            self._files.pipe_file(path, data)

    @contextmanager
    def writing(self, path: str) -> Iterator[Path]:
        with temporary_folder() as folder:
            temporary = folder / "file"
            yield temporary
            self.upload(temporary, path)

    @contextmanager
    def reading(self, path: str) -> Iterator[Path]:
        with temporary_folder() as folder:
            # The name is kept: libraries choose a format by its suffix.
            local = folder / path.rpartition("/")[2]
            self.download(path, local)
            yield local

    def upload(self, source: Path, path: str) -> None:
        with _as_os_error():
            if not source.is_dir():
                self._make_parent(path)
                self._files.put_file(str(source), path)
                return
            # File by file: what fsspec's recursive copy makes of a folder depends on whether the target exists.
            for file in source.rglob("*"):
                if file.is_file():
                    self.upload(file, f"{path}/{file.relative_to(source).as_posix()}")

    def download(self, path: str, target: Path) -> None:
        with _as_os_error():
            if not self._files.isdir(path):
                self._files.get_file(path, str(target))
                return
            root = str(self._files._strip_protocol(path)).rstrip("/")
            target.mkdir(parents=True)
            for name in self._files.find(path):
                local = target / name.removeprefix(root).lstrip("/")
                local.parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(name, str(local))

    def remove(self, path: str) -> None:
        with _as_os_error():
            self._files.rm(path, recursive=True)

    def _make_parent(self, path: str) -> None:
        if self._has_folders:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Drivers raise their own kinds (no connection, no bucket, no credentials): callers only know OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
