"""A step that tries what it should not get, and tells what came of it."""

import os
import signal
import socket
from pathlib import Path
from typing import Annotated

from zenweb import get_step_context, pipeline, step


def attempt(deed: object) -> str:
    try:
        return str(deed())[:2000]  # type: ignore[operator]
    except OSError as error:
        return type(error).__name__


def connect(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.connect(path)
    return "connected"


@step
def spy(
    worker: int, files: list[str], sockets: list[str], folders: list[str]
) -> Annotated[dict[str, str], "booty"]:
    """What reading, writing, connecting and killing led to; the name of the refusal where it was refused."""
    own = Path(get_step_context().get_output_artifact_uri()).parent
    own.mkdir(parents=True, exist_ok=True)
    own.joinpath("link").symlink_to(files[0])
    own.joinpath("program").write_text("#!/bin/sh\n")
    own.joinpath("program").chmod(0o6755)
    own.joinpath("open").mkdir()
    own.joinpath("open/value").write_text("as made")
    for path in (own, own / "open"):
        path.chmod(0o777)
    own.joinpath("open/value").chmod(0o666)
    return {
        "uid": str(os.getuid()),
        "own environment": " ".join(os.environ),
        "privileges": Path("/proc/self/status").read_text().partition("NoNewPrivs:")[2].split()[0],
        "home": attempt(lambda: Path.home().joinpath("x").write_text("x")),
        "worker's environment": attempt(lambda: Path(f"/proc/{worker}/environ").read_bytes()),
        "parent's environment": attempt(lambda: Path(f"/proc/{os.getppid()}/environ").read_text()),
        "killing the worker": attempt(lambda: os.kill(worker, signal.SIGCONT)),
        **{f"read {path}": attempt(lambda path=path: Path(path).read_bytes()) for path in files},
        **{f"write {path}": attempt(lambda path=path: Path(path).open("ab")) for path in files},
        **{f"connect {path}": attempt(lambda path=path: connect(path)) for path in sockets},
        **{f"list {path}": attempt(lambda path=path: os.listdir(path)) for path in folders},  # noqa: PTH208
        **{f"make in {path}": attempt(lambda path=path: Path(path, "x").mkdir()) for path in folders},
    }


@step
def sees(booty: dict[str, str]) -> int:
    return len(booty)


@pipeline
def spying_pipeline() -> None:
    sees(spy(worker=0, files=[], sockets=[], folders=[]))
