"""A pipeline's source folder as a content-addressed archive: packing it, checking one from elsewhere, unpacking it."""

import gzip
import hashlib
import io
import logging
import os
import shutil
import tarfile
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath

from zenweb.config.ignore_rules import ALWAYS_OUT, IgnoreRules
from zenweb.exceptions import CodeArchiveRefused

logger = logging.getLogger(__name__)

BYTES_LIMIT = 20 * 2**20
FILES_LIMIT = 5_000
# A header, padding and, for a long name, two blocks more.
TAR_OVERHEAD_PER_FILE = 5 * 512


@dataclass(frozen=True)
class CodeArchive:
    """An archive that was packed here. Equal folders give equal archives, whatever their times and owners."""

    sha256: str
    """Of the tar before compression, so that it does not change with the compressor."""
    tar: bytes
    file_names: tuple[str, ...]
    size: int
    """Of the files, in bytes."""
    root: Path
    left_out: tuple[str, ...]
    """What rules keep out of it, folders with a / at their end; not what is litter everywhere, such as `.git`."""

    @cached_property
    def content(self) -> bytes:
        """What is sent and stored: the tar, gzip-compressed."""
        return gzip.compress(self.tar, mtime=0)


@dataclass(frozen=True)
class ArchivedFile:
    path: PurePosixPath
    content: bytes
    is_executable: bool


def pack(root: Path, limit: int = BYTES_LIMIT, files_limit: int = FILES_LIMIT) -> CodeArchive:
    """Archive the folder, without what `.gitignore` and `.zenwebignore` files name, links, known litter and
    files that usually hold secrets.

    `limit` is in bytes before compression. Raises CodeArchiveRefused, naming what is largest.
    """
    try:
        # Enough of a huge tree to say what makes it huge, without walking through all of it.
        left_out: list[str] = []
        found = list(islice(_files_below(root, IgnoreRules.of(root), root, left_out), 4 * files_limit))
        _check_limits(root, found, limit, files_limit)
        names = sorted(path.relative_to(root).as_posix() for path, _ in found)
        tar = _tar(root, names)
    except OSError as error:
        raise CodeArchiveRefused(f"The code in {root} cannot be read: {error}.") from error
    sha256, size = hashlib.sha256(tar).hexdigest(), sum(size for _, size in found)
    return CodeArchive(sha256, tar, tuple(names), size, root, tuple(left_out))


def check_archive(
    content: bytes, *, sha256: str, limit: int = BYTES_LIMIT, files_limit: int = FILES_LIMIT
) -> int:
    """Refuse what must not be unpacked; the size of the files in bytes."""
    return sum(len(file.content) for file in _read(content, sha256, limit, files_limit))


def names_in(content: bytes) -> list[str]:
    """The paths of the files in an archive that `check_archive` has let in."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        return [member.name for member in tar if member.isfile()]


@dataclass(frozen=True)
class Manifest:
    """What an unpacked archive consists of: each file's path with its size and hash. Enough to tell a changed one."""

    files: Mapping[str, tuple[int, bytes]]

    @classmethod
    def of(cls, content: bytes) -> "Manifest":
        """Of an archive that `check_archive` has let in."""
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
            read = {
                PurePosixPath(member.name).as_posix(): _content_of(tar, member)
                for member in tar
                if member.isfile()
            }
        return cls({name: _fingerprint(found) for name, found in read.items()})

    def is_that_of(self, folder: Path) -> bool:
        """Whether the folder holds these files and no others. Bytecode, which none of them vouches for, is removed."""
        try:
            found = dict(self._fingerprints(folder, folder))
        except OSError:
            return False
        return found == self.files

    def _fingerprints(self, folder: Path, root: Path) -> Iterator[tuple[str, tuple[int, bytes]]]:
        for path in folder.iterdir():
            name = path.relative_to(root).as_posix()
            if path.is_symlink():
                yield name, (-1, b"")  # an archive has none
            elif path.name == "__pycache__":
                shutil.rmtree(path)
            elif path.is_dir():
                yield from self._fingerprints(path, root)
            else:
                known, size = self.files.get(name), path.stat().st_size
                is_worth_reading = known is not None and known[0] == size and path.is_file()
                yield name, _fingerprint(path.read_bytes()) if is_worth_reading else (size, b"")


def unpack(
    content: bytes, target: Path, *, sha256: str, limit: int = BYTES_LIMIT, files_limit: int = FILES_LIMIT
) -> None:
    """Make the folder `target` from the archive, read-only, whole or not at all. One that exists is left as it is."""
    files = _read(content, sha256, limit, files_limit)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _write(files, unfinished)
        _put_in_place(unfinished, target)
    finally:
        _remove(unfinished)


def discard(folder: Path) -> None:
    """Remove an unpacked folder; its place is free at once, whoever still reads in it."""
    doomed = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with suppress(FileNotFoundError):  # somebody was faster
            folder.rename(doomed)
    finally:
        _remove(doomed)


def _files_below(
    folder: Path, rules: IgnoreRules, root: Path, left_out: list[str]
) -> Iterator[tuple[Path, int]]:
    """The files to archive, with their sizes; what rules leave out is noted."""
    for path in sorted(folder.iterdir()):
        if rules.leave_out(path):
            if path.name not in ALWAYS_OUT:
                left_out.append(f"{path.relative_to(root).as_posix()}{'/' if path.is_dir() else ''}")
            continue
        if _is_link_left_out(path, root):
            continue
        if path.is_dir():
            yield from _files_below(path, rules.inside(path), root, left_out)
        elif path.is_file():
            yield path, path.stat().st_size


def _is_link_left_out(path: Path, root: Path) -> bool:
    """A link to a file of the same folder tree stands for that file; any other leads to what others do not have."""
    if not path.is_symlink():
        return False
    is_followed = path.is_file() and path.resolve().is_relative_to(root.resolve())
    if not is_followed:
        logger.warning("The link %s is not stored with the code: it leads to no file below %s.", path, root)
    return not is_followed


def _check_limits(root: Path, found: list[tuple[Path, int]], limit: int, files_limit: int) -> None:
    size = sum(size for _, size in found)
    if size <= limit and len(found) <= files_limit:
        return
    largest = _most_files(root, found) if size <= limit else _most_bytes(root, found)
    raise CodeArchiveRefused(
        f"The code in {root} is too large to be stored with a pipeline: at least {shown_size(size)} in {len(found)} "
        f"files, where {shown_size(limit)} and {files_limit} files are allowed. Most of it: {', '.join(largest)}. "
        "Name what the pipeline does not need in a .zenwebignore file there (written like .gitignore)."
    )


def _most_bytes(root: Path, found: list[tuple[Path, int]]) -> list[str]:
    """The folders right below the root and the single files that weigh most."""
    sizes = Counter[str]()
    for path, size in found:
        name = path.relative_to(root)
        sizes[name.as_posix()] += size
        if len(name.parts) > 1:
            sizes[f"{name.parts[0]}/"] += size
    return [
        f"{name} ({shown_size(size)})" for name, size in sizes.most_common(5) if size * 20 > sizes.total()
    ]


def _most_files(root: Path, found: list[tuple[Path, int]]) -> list[str]:
    """The folders right below the root that hold most files."""
    counts = Counter(f"{path.relative_to(root).parts[0]}/" for path, _ in found if path.parent != root)
    return [f"{name} ({count} files)" for name, count in counts.most_common(3)] or [
        "files in the folder itself"
    ]


def shown_size(size: int) -> str:
    if size >= 2**20 / 10:
        return f"{size / 2**20:.1f} MB"
    return f"{size / 2**10:.1f} kB" if size >= 2**10 else f"{size} bytes"


def _tar(root: Path, names: Iterable[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            content = (root / name).read_bytes()
            tar.addfile(_entry(name, len(content), (root / name).stat().st_mode), io.BytesIO(content))
    return buffer.getvalue()


def _entry(name: str, size: int, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)  # time 0, owner 0
    entry.size = size
    entry.mode = 0o755 if mode & 0o100 else 0o644
    return entry


def _read(content: bytes, sha256: str, limit: int, files_limit: int) -> list[ArchivedFile]:
    """Every file of an archive that nobody vouches for, once all of it proved harmless."""
    tar = _decompressed(content, limit + files_limit * TAR_OVERHEAD_PER_FILE + tarfile.RECORDSIZE)
    if hashlib.sha256(tar).hexdigest() != sha256:
        raise CodeArchiveRefused(
            "The code archive is not the one its hash names: it was changed or cut off on its way."
        )
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as opened:
            files = _checked_files(opened, limit, files_limit)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise CodeArchiveRefused(f"The code archive is not a readable tar: {error}.") from error
    _check_paths_fit_together(files)
    return files


def _decompressed(content: bytes, limit: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as compressed:
            tar = compressed.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CodeArchiveRefused(f"The code archive is not gzip-compressed: {error}.") from error
    if len(tar) > limit:
        raise CodeArchiveRefused(
            f"The code archive is too large: more than {shown_size(limit)} when unpacked."
        )
    return tar


def _checked_files(tar: tarfile.TarFile, limit: int, files_limit: int) -> list[ArchivedFile]:
    files: list[ArchivedFile] = []
    size = 0
    for entries, member in enumerate(tar, start=1):
        size += member.size
        # A negative size makes tarfile read the same header for ever.
        if member.size < 0 or size > limit or entries > files_limit:
            raise CodeArchiveRefused(
                f"The code archive is too large: {shown_size(limit)} and {files_limit} entries are allowed."
            )
        path = _checked_path(member)
        if not member.isdir():
            files.append(ArchivedFile(path, _content_of(tar, member), bool(member.mode & 0o100)))
    return files


def _checked_path(member: tarfile.TarInfo) -> PurePosixPath:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\0" in member.name or len(member.name) > 1_000:
        raise CodeArchiveRefused(
            f"The code archive holds the path {member.name[:200]!r}, which leads out of its folder."
        )
    if not _is_utf8(member.name):
        raise CodeArchiveRefused(
            f"The code archive holds {member.name!r}, whose name is not UTF-8: rename it."
        )
    if not path.parts and not member.isdir():
        raise CodeArchiveRefused(
            f"The code archive holds a file that is named {member.name!r}, which none can be."
        )
    is_plain_file = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    if not is_plain_file and not member.isdir():
        raise CodeArchiveRefused(
            f"The code archive holds {member.name!r}, a link or device. Only files are allowed."
        )
    return path


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _content_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = tar.extractfile(member)
    return opened.read() if opened is not None else b""


def _check_paths_fit_together(files: list[ArchivedFile]) -> None:
    paths = [file.path for file in files]
    known = set(paths)
    if len(known) < len(paths) or any(parent in known for path in paths for parent in path.parents):
        raise CodeArchiveRefused(
            "The code archive holds one path twice, or a file where another path needs a folder."
        )


def _write(files: list[ArchivedFile], folder: Path) -> None:
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o555 if file.is_executable else 0o444)
    for inner in _folders_of(folder):
        inner.chmod(0o555)  # readable to the user that steps run as, and for nobody to write in


def _folders_of(folder: Path) -> list[Path]:
    return [Path(name) for name, _, _ in os.walk(folder)]


def _remove(folder: Path) -> None:
    for inner in _folders_of(folder):
        with suppress(OSError):
            inner.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


def _fingerprint(content: bytes) -> tuple[int, bytes]:
    return len(content), hashlib.sha256(content).digest()


def _put_in_place(unfinished: Path, target: Path) -> None:
    try:
        unfinished.rename(target)
    except OSError:
        if not target.is_dir():  # else somebody was faster with the same content
            raise
