"""This worker's own SDK as a wheel: what environments get it from, since a name on an index may be anybody's."""

import base64
import hashlib
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import zenweb
from zenweb.exceptions import ZenWebError

NAME = "zenweb"
# Design: what runs in a step's process. Never settings, accounts, api, celery, entity, or the apps.
MODULES = (
    *(
        "aio",
        "answers",
        "arriving",
        "artifacts",
        "cli",
        "client",
        "compat",
        "config",
        "connection",
        "deployment",
    ),
    *("enums", "exceptions", "execution", "local_files", "metadata", "patience", "pipelines", "pointers"),
    *("pools", "responses", "steps", "thing", "transport", "written_numbers"),
)
METADATA = """\
Metadata-Version: 2.1
Name: zenweb
Version: {version}
Summary: The SDK of ZenWeb, as its worker has it
{requires}"""
WHEEL = """\
Wheel-Version: 1.0
Generator: zenweb
Root-Is-Purelib: true
Tag: py3-none-any
"""
ENTRY_POINTS = "[console_scripts]\nzenweb = zenweb.cli.main:main\n"
TIME = (1980, 1, 1, 0, 0, 0)  # equal files make equal wheels


@dataclass(frozen=True)
class SdkWheel:
    version: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def store(self, folder: Path) -> Path:
        """The wheel as a file below the folder, written whole or not at all."""
        target = folder / f"{NAME}-{self.sha256[:12]}" / f"{NAME}-{self.version}-py3-none-any.whl"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            # Threads of one worker make several environments at once.
            unfinished = target.with_suffix(f".{uuid.uuid4().hex}")
            try:
                unfinished.write_bytes(self.content)
                unfinished.replace(target)
            finally:
                unfinished.unlink(missing_ok=True)
        return target


@cache
def sdk_wheel() -> SdkWheel:
    """Built once in a worker's life."""
    # All that the SDK needs, directly or not, in the versions that this worker runs with: they bind the requirements.
    pins = [f"{name}=={version}" for name, version in sorted(set(_versions_needed()))]
    return SdkWheel(zenweb.__version__, _build(_files(), pins))


def _files() -> Iterator[tuple[str, bytes]]:
    package = Path(zenweb.__file__).parent
    for name in ("__init__.py", "py.typed"):
        yield f"{NAME}/{name}", (package / name).read_bytes()
    for module in MODULES:
        files = (
            [package / f"{module}.py"] if not (package / module).is_dir() else (package / module).rglob("*")
        )
        for file in sorted(files):
            if file.is_file() and "__pycache__" not in file.parts:
                yield f"{NAME}/{file.relative_to(package).as_posix()}", file.read_bytes()


def _build(files: Iterator[tuple[str, bytes]], pins: Sequence[str]) -> bytes:
    info = f"{NAME}-{zenweb.__version__}.dist-info"
    requires = "".join(f"Requires-Dist: {pin}\n" for pin in pins)
    texts = {
        "METADATA": METADATA.format(version=zenweb.__version__, requires=requires),
        "WHEEL": WHEEL,
        "entry_points.txt": ENTRY_POINTS,
    }
    entries = [*files, *((f"{info}/{name}", text.encode()) for name, text in texts.items())]
    record = "".join(f"{name},{_digest(content)},{len(content)}\n" for name, content in entries)
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in [*entries, (f"{info}/RECORD", f"{record}{info}/RECORD,,\n".encode())]:
            wheel.writestr(zipfile.ZipInfo(name, TIME), content)
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _versions_needed() -> Iterator[tuple[str, str]]:
    """The packages behind the light SDK, with the versions installed here."""
    waiting, seen = [(NAME, "")], set[tuple[str, str]]()
    while waiting:
        name, extra = entry = waiting.pop()
        if entry in seen:
            continue
        seen.add(entry)
        try:
            found = distribution(name)
        except PackageNotFoundError as error:
            raise ZenWebError(f"The package {name} is not installed here, and the SDK needs it.") from error
        if name != NAME:
            yield name, found.version
        for text in found.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = canonicalize_name(requirement.name)
                waiting += [(needed, ""), *((needed, extra) for extra in requirement.extras)]
