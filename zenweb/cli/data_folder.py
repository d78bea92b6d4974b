"""The folder where `zenweb up` keeps what must outlive it: database, artifacts, secrets, logs."""

import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from zenweb.exceptions import ZenWebError

LONGEST_SOCKET_PATH = 100  # sun_path holds 104 bytes on macOS, 108 on Linux

ANOTHER_FOLDER = "as in `ZENWEB_DATA_DIR=~/zenweb make demo` or `zenweb up --data-dir ~/zenweb`"


class DataFolderUnusable(ZenWebError):
    """The data folder cannot be used."""


@dataclass(frozen=True)
class Credentials:
    """The first user's password and API key."""

    username: str
    password: str
    api_key: str


@dataclass(frozen=True)
class DataFolder:
    """The layout of a data folder. `open_data_folder` is the way to get one."""

    path: Path

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def credentials_file(self) -> Path:
        return self.path / "credentials"

    @property
    def secret_key_file(self) -> Path:
        return self.path / "secret_key"

    @property
    def socket(self) -> Path:
        """The broker's socket: in the folder, or, where that path would be too long, in a private temporary one."""
        inside = self.path / "redis.sock"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
            return inside
        # Derived from the folder's path, so that a worker started later by hand finds the same socket.
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"zenweb-{os.getuid()}-{digest}" / "redis.sock"

    def make_socket_folder(self) -> None:
        folder = self.socket.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise DataFolderUnusable(
                f"{folder} belongs to somebody else: remove it, or choose another --data-dir."
            )

    @property
    def encryption_keys_file(self) -> Path:
        return self.path / "encryption_keys"

    def secret_key(self) -> str:
        """The server's key, made at the first call."""
        return _made_once(self.secret_key_file)

    def encryption_keys(self, *, makes_one: bool) -> list[str]:
        """What secrets in the database are sealed with, the newest first, one per line."""
        if makes_one:
            _made_once(self.encryption_keys_file)
        return self.encryption_keys_file.read_text().split() if self.encryption_keys_file.exists() else []

    def read_credentials(self) -> Credentials | None:
        if not self.credentials_file.exists():
            return None
        return Credentials(**json.loads(self.credentials_file.read_text()))

    def write_credentials(self, credentials: Credentials) -> None:
        write_private(self.credentials_file, json.dumps(asdict(credentials), indent=2) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One `zenweb up` per folder; the kernel gives the lock back however its holder ends."""
        with (self.path / "up.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataFolderUnusable(
                    f"ZenWeb is already running on {self.path}: stop it, or choose another folder, {ANOTHER_FOLDER}."
                ) from error
            yield


def open_data_folder(path: Path) -> DataFolder:
    """Make the folder (only its owner may enter) and see that it can be written."""
    folder = DataFolder(path.absolute())
    try:
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.logs.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.path):
            pass
    except OSError as error:
        raise DataFolderUnusable(
            f"The data folder {folder.path} cannot be written ({error.strerror}): choose another, {ANOTHER_FOLDER}."
        ) from error
    return folder


def _made_once(path: Path) -> str:
    """What is in a file of a random key; of two processes that make it at once, one does."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        write_private(draft, secrets.token_urlsafe(50) + "\n")
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, complete or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
