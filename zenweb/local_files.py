"""Files of the caller's machine among the values of a run: each is uploaded, and a reference takes its place."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.config.file_references import FileReference
from zenweb.config.run_configuration import PipelineRunConfiguration, StepRunConfiguration
from zenweb.exceptions import ValidationFailed
from zenweb.thing import ARTIFACT_VERSIONS, Thing

PIECE = 64 * 1024


class Referable(Protocol):
    """What stands in a file's place: an artifact version on the server, or whoever else keeps it under an id."""

    @property
    def id(self) -> UUID: ...


Uploaded = Mapping[Path, Referable]
RunConfiguration = PipelineRunConfiguration | Mapping[str, Any]


@dataclass(frozen=True)
class LocalFile:
    """A file to be sent: read piece by piece, and from its beginning each time it is."""

    path: Path
    size: int

    @classmethod
    def at(cls, path: str | PathLike[str]) -> "LocalFile":
        found = Path(path).expanduser()
        if not found.is_file():
            raise ValidationFailed(
                f"There is no file {str(path)!r} here to upload. "
                "A path on the machine where the step runs is given as a text."
            )
        return cls(found, found.stat().st_size)

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "application/octet-stream", "Content-Length": str(self.size)}

    def __iter__(self) -> Iterator[bytes]:
        left = self.size  # as was told beforehand: no more can be sent
        with self.path.open("rb") as file:
            while piece := file.read(min(PIECE, left)):
                left -= len(piece)
                yield piece
            if left or file.read(1):
                raise ValidationFailed(
                    f"{str(self.path)!r} has changed while it was sent: send it again when nothing writes to it."
                )

    def asynchronous(self) -> "PiecesOfFile":
        return PiecesOfFile(self)


@dataclass(frozen=True)
class PiecesOfFile:
    """The same for an event loop, which goes on while the disk is read."""

    file: LocalFile

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self.file)
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece


def paths_in(configuration: RunConfiguration | None) -> list[Path]:
    """The files of this machine among the steps' parameters, each once."""
    if isinstance(configuration, PipelineRunConfiguration):
        parameters = [step.parameters for _, step in configuration.steps.items()]
    elif isinstance(configuration, Mapping) and isinstance(configuration.get("steps"), Mapping):
        parameters = [_parameters_of(step) for step in configuration["steps"].values()]
    else:
        parameters = []
    return list(dict.fromkeys(path for values in parameters for path in _paths(values)))


def with_references(configuration: RunConfiguration | None, uploaded: Uploaded) -> RunConfiguration | None:
    """The configuration with a reference wherever a step's parameter is one of these files, or an artifact."""
    if isinstance(configuration, PipelineRunConfiguration):
        steps = {name: _step(step, uploaded) for name, step in configuration.steps.items()}
        changed = {name: step for name, step in steps.items() if step is not configuration.steps[name]}
        if not changed:
            return configuration
        return {**configuration.to_wire(), "steps": {**configuration.steps.to_wire(), **_wire(changed)}}
    if not isinstance(configuration, Mapping) or not isinstance(configuration.get("steps"), Mapping):
        return configuration
    return {
        **configuration,
        "steps": {name: _step(step, uploaded) for name, step in configuration["steps"].items()},
    }


def _step(step: Any, uploaded: Uploaded) -> Any:
    if isinstance(step, StepRunConfiguration):
        parameters = _referring(step.parameters, uploaded)
        return step if parameters == step.parameters else step.model_copy(update={"parameters": parameters})
    if isinstance(step, Mapping) and "parameters" in step:
        return {**step, "parameters": _referring(step["parameters"], uploaded)}
    return step


def _parameters_of(step: Any) -> Any:
    return step.parameters if isinstance(step, StepRunConfiguration) else (step or {}).get("parameters")


def _paths(value: Any) -> Iterator[Path]:
    match value:
        case Path():
            yield value
        case Mapping():
            for member in value.values():
                yield from _paths(member)
        case list() | tuple():
            for member in value:
                yield from _paths(member)


def _referring(value: Any, uploaded: Uploaded) -> Any:
    match value:
        case Path():
            return FileReference(str(uploaded[value].id)).as_json()
        case Thing(path=path) if path == ARTIFACT_VERSIONS:
            return FileReference(str(value.id)).as_json()
        case UnmaterializedArtifact():
            return FileReference(str(value.id)).as_json()
        case Mapping():
            return {name: _referring(member, uploaded) for name, member in value.items()}
        case list() | tuple():
            return [_referring(member, uploaded) for member in value]
    return value


def _wire(steps: Mapping[str, StepRunConfiguration]) -> dict[str, Any]:
    return {name: step.to_wire() for name, step in steps.items()}
