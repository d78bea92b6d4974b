"""Packages for the tests to install, so that no index has to have them."""

import io
import tarfile
import zipfile
from pathlib import Path

NAME, MODULE = "zenweb-tests-tiny", "zenweb_tests_tiny"
# Builds for ever, and says where it does. No backend has to be downloaded: it is its own.
SLOW_BACKEND = """
import os, pathlib, time
def prepare_metadata_for_build_wheel(*_):
    marks = pathlib.Path({marks!r})
    (marks / "unfinished").write_text(str(os.getpid()))
    (marks / "unfinished").rename(marks / "builds")
    time.sleep(300)
build_wheel = build_sdist = prepare_metadata_for_build_wheel
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def make_tiny_wheel(folder: Path, version: str = "1.0") -> Path:
    """A package with a module that knows its version and a program that says it."""
    info = f"{MODULE}-{version}.dist-info"
    files = {
        f"{MODULE}.py": f"VERSION = {version!r}\n\n\ndef main():\n    print('I am', VERSION)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\ntiny-says = {MODULE}:main\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    target = folder / f"{MODULE}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)
    return target


def make_slow_package(folder: Path, marks: Path) -> Path:
    """A package whose installation never ends; `marks/builds` says which process tries."""
    root = f"{MODULE}_slow-1.0"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {NAME}-slow\nVersion: 1.0\n",
        "pyproject.toml": PYPROJECT,
        "backend.py": SLOW_BACKEND.format(marks=str(marks)),
    }
    target = folder / f"{root}.tar.gz"
    with tarfile.open(target, "w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{root}/{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return target
