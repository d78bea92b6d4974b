"""Files of artifacts, at any place fsspec can name.

A plain absolute path and `file://` are served by the operating system's own calls; everything else (`s3://`, `gs://`,
`memory://`, ...) goes through fsspec, which is not even imported before the first such address appears.

A file is seen either whole or not at all: locally it is written beside its final place and renamed, while object stores
publish an upload only once it is complete.
"""

# ruff: noqa: PTH103, PTH105, PTH108, PTH112, PTH116, PTH120, PTH123, PTH208

import builtins
import errno
import importlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol, cast
from urllib.parse import unquote
from uuid import uuid4

from zenweb.exceptions import DoesNotExist, ZenWebError

FOLDER = os.O_RDONLY | os.O_DIRECTORY
OUTSIDE = "it lies outside of where it has to be"


class ArtifactStoreError(ZenWebError):
    """The artifact store could not be read or written; the message says where and why."""


class ArtifactFileMissing(ArtifactStoreError, DoesNotExist):
    """Nothing is stored at that address."""

    http_status = DoesNotExist.http_status
    wire_class = DoesNotExist.wire_class


class TooManyEntries(ArtifactStoreError):
    """A folder holds more than is looked at."""


class Files(Protocol):
    """What a place must be able to do. Errors are OSErrors; `store`'s functions put them into words."""

    def open(self, path: str) -> BinaryIO: ...
    def open_within(self, path: str, root: str) -> BinaryIO: ...
    def exists(self, path: str) -> bool: ...
    def list(self, path: str) -> Sequence[str]: ...
    def size(self, path: str) -> int: ...
    def files_below(self, path: str, most: int) -> Iterator[str]: ...
    def write_bytes(self, path: str, data: bytes) -> None: ...
    @contextmanager
    def writing(self, path: str) -> Iterator[Path]: ...
    @contextmanager
    def reading(self, path: str) -> Iterator[Path]: ...
    def upload(self, source: Path, path: str) -> None: ...
    def download(self, path: str, target: Path) -> None: ...
    def remove(self, path: str) -> None: ...


def join(uri: str, *names: str) -> str:
    """The address of something below `uri`."""
    return "/".join((uri.rstrip("/"), *names))


def local_folder(uri: str) -> Path | None:
    """The folder of this machine that an address names; None: it is elsewhere."""
    if not uri.startswith(("/", "file://")):
        return None
    return Path(_find(uri)[1])


def open(uri: str) -> BinaryIO:  # noqa: A001 - reads as `store.open`
    """The file's bytes, as an open binary file that the caller closes."""
    files, path = _find(uri)
    with _explained(uri, "read"):
        return files.open(path)


def open_within(uri: str, root: str) -> BinaryIO:
    """The same for an address that others chose: neither its name nor dots nor a link in it lead out of `root`.

    It is the opened file that is below `root`, whoever puts a link on the way meanwhile.
    """
    files, path = _find(uri)
    other_files, folder = _find(root)
    with _explained(uri, "read"):
        if type(files) is not type(other_files):
            raise OSError(errno.EXDEV, OUTSIDE)
        return files.open_within(path, folder)


def read_bytes(uri: str) -> bytes:
    with open(uri) as file, _explained(uri, "read"):
        return file.read()


def exists(uri: str) -> bool:
    """Whether a file or a folder is there. A store that does not answer raises; it does not say no."""
    files, path = _find(uri)
    with _explained(uri, "read"):
        return files.exists(path)


def list(uri: str) -> Sequence[str]:  # noqa: A001 - reads as `store.list`
    """Names of the files and folders directly in the folder, sorted."""
    files, path = _find(uri)
    with _explained(uri, "read"):
        return files.list(path)


def size(uri: str) -> int:
    """Bytes of the file, or of all files in and below the folder."""
    files, path = _find(uri)
    with _explained(uri, "read"):
        return files.size(path)


def files_below(uri: str, most: int) -> Iterator[str]:
    """The files in and below a folder, by their paths from there, in an order that stays. Links are none of them.

    Raises TooManyEntries where there are more than `most` things of whatever kind.
    """
    files, path = _find(uri)
    with _explained(uri, "read"):
        yield from files.files_below(path, most)


def write_bytes(uri: str, data: bytes) -> None:
    """Write one whole file, making the folders on the way."""
    files, path = _find(uri)
    with _explained(uri, "written"):
        files.write_bytes(path, data)


@contextmanager
def writing(uri: str) -> Iterator[Path]:
    """A local path to write to, for libraries that want one; the file appears at `uri` when the block ends well."""
    files, path = _find(uri)
    with _explained(uri, "written"), files.writing(path) as local:
        yield local


@contextmanager
def reading(uri: str) -> Iterator[Path]:
    """A local path with the file's bytes, valid inside the block and only to be read."""
    files, path = _find(uri)
    with _explained(uri, "read"), files.reading(path) as local:
        yield local


def upload(source: Path, uri: str) -> None:
    """Copy a local file or a whole folder to `uri`."""
    files, path = _find(uri)
    with _explained(uri, "written"):
        files.upload(source, path)


def download(uri: str, target: Path) -> None:
    """Copy the file or the whole folder at `uri` to a local path that does not exist yet."""
    files, path = _find(uri)
    with _explained(uri, "read"):
        files.download(path, target)


def remove(uri: str) -> None:
    """Delete the file, or the whole folder. What is not there is no error."""
    files, path = _find(uri)
    with _explained(uri, "written"), suppress(FileNotFoundError):
        files.remove(path)


class LocalFiles:
    """The operating system's own files, by its plain calls: pathlib takes as long again to save a number."""

    def open(self, path: str) -> BinaryIO:
        return builtins.open(path, "rb")

    def open_within(self, path: str, root: str) -> BinaryIO:
        folder = os.open(root, FOLDER)
        try:
            *names, last = _names_below(path, root)
            for name in names:
                folder, above = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=folder), folder
                os.close(above)
            # Without waiting for who writes to a pipe.
            descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise OSError(errno.EXDEV, OUTSIDE) from error
            raise
        finally:
            os.close(folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no file")
        return builtins.open(descriptor, "rb")

    def exists(self, path: str) -> bool:
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def list(self, path: str) -> Sequence[str]:
        return sorted(os.listdir(path))

    def size(self, path: str) -> int:
        try:
            with os.scandir(path) as entries:
                return sum(
                    self.size(entry.path) if entry.is_dir() else entry.stat().st_size for entry in entries
                )
        except NotADirectoryError:
            return os.stat(path).st_size

    def files_below(self, path: str, most: int) -> Iterator[str]:
        waiting, left = [path], most
        while waiting:
            with os.scandir(waiting.pop()) as found:
                entries = sorted(islice(found, left + 1), key=lambda entry: entry.name)
            left -= len(entries)
            if left < 0:
                raise TooManyEntries(f"There are more than {most} files and folders in {path}.")
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    yield os.path.relpath(entry.path, path)
            waiting += [entry.path for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]

    def write_bytes(self, path: str, data: bytes) -> None:
        temporary = _temporary_beside(path)
        try:
            with builtins.open(temporary, "wb", buffering=0) as file:
                _write_all(file, data)
            os.replace(temporary, path)
        except BaseException:
            _remove(temporary)
            raise

    @contextmanager
    def writing(self, path: str) -> Iterator[Path]:
        temporary = _temporary_beside(path)
        try:
            yield Path(temporary)
            os.replace(temporary, path)
        except BaseException:
            _remove(temporary)
            raise

    @contextmanager
    def reading(self, path: str) -> Iterator[Path]:
        yield Path(path)

    def upload(self, source: Path, path: str) -> None:
        if source.is_dir():
            shutil.copytree(source, path)
            return
        with self.writing(path) as temporary:
            shutil.copy2(source, temporary)

    def download(self, path: str, target: Path) -> None:
        if os.path.isdir(path):
            shutil.copytree(path, target)
        else:
            shutil.copy2(path, target)

    def remove(self, path: str) -> None:
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def _names_below(path: str, root: str) -> Sequence[str]:
    """The folders on the way from `root`, which may be named by the links that lead to it, and the file's name."""
    for folder in (Path(root), Path(root).resolve()):
        if Path(path).is_relative_to(folder):
            names = Path(path).relative_to(folder).parts
            if names and ".." not in names:
                return names
    raise OSError(errno.EXDEV, OUTSIDE)


def _temporary_beside(path: str) -> str:
    """A new name in the folder of `path`, which is made if it has to be."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
    return f"{folder}/.{uuid4().hex}.part"


def _write_all(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="zenweb-") as folder:
        yield Path(folder)


_LOCAL = LocalFiles()


def _find(uri: str) -> tuple[Files, str]:
    """Who serves this address, and how they call it."""
    if uri.startswith("/"):
        return _LOCAL, uri
    if uri.startswith("file://"):
        return _LOCAL, unquote(uri.removeprefix("file://").removeprefix("localhost"))
    if "://" in uri:
        return _remote_files(uri), uri
    raise ArtifactStoreError(
        f"'{uri}' is no artifact store address: give an absolute path or a URL such as s3://bucket/path."
    )


def _remote_files(uri: str) -> Files:
    protocol = uri.partition("://")[0]
    try:
        # Not at the top: fsspec costs tens of milliseconds that a local store never needs to pay.
        remote = importlib.import_module("zenweb.artifacts.remote_store")
        return cast(Files, remote.RemoteFiles(protocol))
    except ImportError as error:
        raise ArtifactStoreError(
            f"The artifact store {protocol}:// needs a package that is not installed here: {error}"
        ) from error
    except ValueError as error:
        raise ArtifactStoreError(f"The artifact store {uri} is of an unknown kind: {error}") from error


_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a file is where a folder should be",
}


@contextmanager
def _explained(uri: str, verb: str) -> Iterator[None]:
    """Turn what the file system says into a sentence that names the address."""
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactFileMissing(f"There is nothing at {uri} in the artifact store.") from error
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise ArtifactStoreError(f"The artifact store cannot be {verb} at {uri}: {reason}.") from error
