"""What a worker and a step's process say to each other: one JSON object per line, each with a version."""

import json
import uuid
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from zenweb.artifacts.previews import storable
from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.config.spec import OutputSpec
from zenweb.config.versions import newer
from zenweb.enums import ArtifactType

# Version 1 has no questions; version 2 compiles nothing and knows neither of the server nor of waiting; version 3 has
# neither mapped steps nor conditions.
PROTOCOL_VERSION = 4
Plain = bool | int | float | str
LONGEST_ARTIFACT_NAME = 200
SAVED = "+"  # begins the name of what a step saved by itself: outputs cannot be called so
StorableText = Annotated[str, AfterValidator(storable)]


class Message(BaseModel):
    model_config = ConfigDict(frozen=True)

    version: int = PROTOCOL_VERSION


class StoredArtifact(Message):
    """A value in the artifact store, with what it takes to load it."""

    uri: str
    materializer: str
    data_type: str
    type: str
    metadata: dict[str, Any] = Field(default_factory=dict)
    preview: dict[str, str] | None = None
    length: int | None = None
    """Of a list or tuple, which a step may be mapped over."""
    value: Plain | None = None
    """The value itself, where it is small and plain, so that a condition may look at it."""
    artifact_name: Annotated[StorableText, Field(max_length=LONGEST_ARTIFACT_NAME)] = ""
    """Under which a step saved it by itself; the names of outputs are in the spec."""


class InputArtifact(StoredArtifact):
    """An artifact version that an earlier step made."""

    id: uuid.UUID
    name: str
    artifact_version: str
    element: int | None = None
    """Which element of the stored list is meant; None: all of it."""

    def unloaded(self) -> UnmaterializedArtifact:
        """As user code sees it."""
        return UnmaterializedArtifact(
            id=str(self.id),
            name=self.name,
            version=self.artifact_version,
            uri=self.uri,
            type=ArtifactType(self.type),
            data_type=self.data_type,
            materializer=self.materializer,
        )


class GivenFile(InputArtifact):
    """An artifact version that a parameter refers to."""

    file_name: str = ""
    """Of an upload, which the server can hand out."""


def saved_id(step_run_id: uuid.UUID, attempt: int, name: str) -> uuid.UUID:
    """The id of the artifact version that a step saves: known to it beforehand, and not its own to choose."""
    return uuid.uuid5(step_run_id, f"{attempt} {name}")


class ServerAccess(BaseModel):
    """Where the process finds the server, and with what it is let in for as long as its attempt holds the step."""

    model_config = ConfigDict(frozen=True)

    url: str
    token: str = Field(repr=False)
    waits: str = ""
    """Where programs that the step starts tell that they wait for a run; empty where nobody listens."""


class Assignment(Message):
    """Everything the process needs to run one attempt of one step."""

    run_id: uuid.UUID
    run_name: str
    pipeline_name: str
    step_run_id: uuid.UUID
    step_name: str
    attempt: int
    source: str
    parameters: dict[str, Any]
    inputs: dict[str, InputArtifact]
    outputs: list[OutputSpec]
    artifact_uri: str
    files: dict[str, GivenFile] = Field(default_factory=dict)
    """The artifact versions that parameters refer to, by their ids."""
    collected: dict[str, list[InputArtifact]] = Field(default_factory=dict)
    """Inputs that are lists of what all runs of a mapped step gave out."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """As they were resolved for this run: `timeout`, `retry`, hooks and so on."""
    is_last: bool = True
    """Whether the step fails for good when this attempt does."""
    server: ServerAccess | None = None
    """None: whoever runs it has a connection of their own, or does not know where the server is."""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step: what it should hand to systems that must act once."""
        return str(uuid.uuid5(self.run_id, self.step_name))


class Argument(Message):
    """The value of a parameter that choices depend on."""

    name: str
    """How the provider calls it."""
    source: str
    """The step whose parameter it is, so that it gets the type which is declared there."""
    parameter: str
    value: Any


class Question(Message):
    """Everything the process needs to ask the provider of one parameter what may be chosen."""

    kind: Literal["question"] = "question"
    source: str
    """The step. Its signature names the provider; nothing that travels does."""
    parameter: str
    arguments: list[Argument] = Field(default_factory=list)


class Compilation(Message):
    """Everything the process needs to put a pipeline together anew, with other parameters."""

    kind: Literal["compile"] = "compile"
    source: str
    """The pipeline."""
    name: str
    parameters: dict[str, Any]
    """All of them, as JSON."""
    configuration: dict[str, Any] | None = None
    """What the options of the frozen pipeline said; None where that is not known."""


class StepException(Message):
    """What a step raised, as text."""

    type: StorableText
    message: StorableText
    traceback: StorableText
    parameter: StorableText = ""
    """The one whose value the step says is wrong (`ParameterError`)."""


class Loading(Message):
    """The step is imported; its inputs are loaded next, however long that takes."""

    event: Literal["loading"] = "loading"


class Started(Message):
    """The next thing that happens is the user's first line."""

    event: Literal["started"] = "started"
    at: float | None = None
    """By the machine's monotonic clock, since whoever listens may be busy just then."""


class OutputSaved(Message):
    event: Literal["output"] = "output"
    name: str
    artifact: StoredArtifact


class MetadataNoted(Message):
    """User code noted something. (What it notes about an output travels with the output.)"""

    event: Literal["metadata"] = "metadata"
    about: Literal["step", "run"]
    values: dict[str, Any]


class WaitsForRun(Message):
    """User code does nothing but wait for the end of a run: what is asked of its worker is the slot that it takes."""

    event: Literal["waits_for_run"] = "waits_for_run"
    run_id: uuid.UUID


class GoesOn(Message):
    """That run is waited for no longer."""

    event: Literal["goes_on"] = "goes_on"
    run_id: uuid.UUID


class Answered(Message):
    """What may be chosen: values with their labels."""

    event: Literal["answered"] = "answered"
    options: list[tuple[Any, str]]


class Compiled(Message):
    """What a deployment of the pipeline consists of, beside its code."""

    event: Literal["compiled"] = "compiled"
    spec: dict[str, Any]
    config_schema: dict[str, Any]
    config_template: dict[str, Any]


class Completed(Message):
    event: Literal["completed"] = "completed"
    is_alone: bool = False
    """Neither a thread nor a process of the step lives: nothing happens any more, whenever its process is gone."""
    at: float | None = None
    """As of `Started`."""


class Failed(Message):
    event: Literal["failed"] = "failed"
    exception: StepException


Waiting = WaitsForRun | GoesOn
Event = Loading | Started | OutputSaved | MetadataNoted | Waiting | Answered | Compiled | Completed | Failed
Order = Assignment | Question | Compilation
_ORDERS: dict[str, type[Order]] = {"question": Question, "compile": Compilation}
_EVENTS: dict[str, type[Event]] = {
    "loading": Loading,
    "started": Started,
    "output": OutputSaved,
    "metadata": MetadataNoted,
    "waits_for_run": WaitsForRun,
    "goes_on": GoesOn,
    "answered": Answered,
    "compiled": Compiled,
    "completed": Completed,
    "failed": Failed,
}


def noted_in(events: Iterable[Event]) -> dict[str, dict[str, Any]]:
    """All that was noted about the step and its run; of a name that came twice, the newer value."""
    noted: dict[str, dict[str, Any]] = {}
    for event in events:
        if isinstance(event, MetadataNoted):
            noted.setdefault(event.about, {}).update(event.values)
    return noted


def parse_order(line: bytes) -> Order:
    """What a process is to do. Raises ValueError for what a newer worker asks of it."""
    fields = json.loads(line)
    version = fields.get("version", 0)
    if isinstance(version, int) and version > PROTOCOL_VERSION:
        raise ValueError(newer("The order", version, PROTOCOL_VERSION))
    kind = fields.get("kind")
    if kind is not None and kind not in _ORDERS:
        raise ValueError(f"this version of ZenWeb knows no order {kind!r}: it is older than the worker")
    return (Assignment if kind is None else _ORDERS[kind]).model_validate(fields)


def parse_event(line: bytes) -> Event | None:
    """The event a line tells; None for one of a newer protocol that this version does not know. Raises ValueError."""
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("an event is an object")
    kind = _EVENTS.get(str(fields.get("event")))
    return kind.model_validate(fields) if kind else None


def to_line(message: Message) -> bytes:
    return message.model_dump_json().encode() + b"\n"
