"""What the server tells about its things, as objects. What an answer left out is asked for when it is read."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar
from urllib.parse import urljoin
from uuid import UUID

from zenweb.artifacts import materializers
from zenweb.config.run_configuration import PipelineRunConfiguration
from zenweb.enums import ConcurrencyPolicy, ExecutionStatus, Orchestrator
from zenweb.execution.metadata import decode_metadata

if TYPE_CHECKING:
    from zenweb.transport import Transport

# Seconds between two looks at a run that is waited for.
FIRST_PAUSE, LAST_PAUSE = 0.05, 1.0


class Entity:
    """One thing on the server, in the envelope `{id, name, body, metadata, resources}`."""

    path: ClassVar[str]

    def __init__(self, transport: "Transport", envelope: Mapping[str, Any]) -> None:
        self._transport = transport
        self._envelope = dict(envelope)
        self.id = UUID(self._envelope["id"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def name(self) -> str:
        return str(self._envelope.get("name") or "")

    @property
    def created(self) -> datetime:
        return _moment(self.body["created"])

    @property
    def updated(self) -> datetime:
        return _moment(self.body["updated"])

    @property
    def body(self) -> dict[str, Any]:
        return self._section("body")

    @property
    def metadata(self) -> dict[str, Any]:
        return self._section("metadata")

    @property
    def resources(self) -> dict[str, Any]:
        return self._section("resources")

    def refresh(self) -> Self:
        """Ask again."""
        self._envelope = self._transport.get(f"{self.path}/{self.id}", hydrate=True)
        return self

    def _section(self, name: str) -> dict[str, Any]:
        if self._envelope.get(name) is None:
            self.refresh()
        return self._envelope.get(name) or {}


class PipelineResponse(Entity):
    path = "/pipelines"


class DeploymentResponse(Entity):
    path = "/pipeline_deployments"


class StackResponse(Entity):
    path = "/stacks"

    @property
    def is_remote(self) -> bool:
        """Its runs execute on workers, not in the caller's process."""
        return bool(self.body["is_remote"])

    @property
    def orchestrator(self) -> Orchestrator:
        return Orchestrator(self.metadata["orchestrator"])

    @property
    def queue(self) -> str:
        return str(self.metadata["queue"])

    @property
    def artifact_store_uri(self) -> str:
        return str(self.metadata["artifact_store_uri"])


class RunTemplateResponse(Entity):
    path = "/run_templates"

    @property
    def is_runnable(self) -> bool:
        return bool(self.body["runnable"])

    @property
    def runnable(self) -> bool:
        """ZenML's word for `is_runnable`."""
        return self.is_runnable

    @property
    def hidden(self) -> bool:
        return bool(self.body["hidden"])

    @property
    def version(self) -> int:
        return int(self.body["version"])

    @property
    def max_concurrent_runs(self) -> int | None:
        """How many of its runs may go on at once; None: any number."""
        found: int | None = self.body["max_concurrent_runs"]
        return found

    @property
    def concurrency_policy(self) -> ConcurrencyPolicy:
        return ConcurrencyPolicy(self.body["concurrency_policy"])

    @property
    def description(self) -> str:
        return str(self.metadata["description"] or "")

    @cached_property
    def config_template(self) -> PipelineRunConfiguration:
        """What a run starts from. Yours to change: `config.steps["trainer"].parameters["learning_rate"] = 0.1`."""
        return PipelineRunConfiguration.model_validate(self.metadata["config_template"])

    @property
    def config_schema(self) -> dict[str, Any]:
        """The JSON Schema of what a run may be given."""
        schema: dict[str, Any] = self.metadata["config_schema"]
        return schema

    @property
    def pipeline(self) -> PipelineResponse:
        return PipelineResponse(self._transport, self.resources["pipeline"])

    @property
    def deployment_id(self) -> UUID:
        return UUID(self.resources["source_deployment"]["id"])

    @property
    def tags(self) -> list[str]:
        return [tag["name"] for tag in self.resources["tags"]]

    @property
    def latest_run_id(self) -> UUID | None:
        found = self.resources["latest_run_id"]
        return UUID(found) if found else None


class ArtifactVersionResponse(Entity):
    path = "/artifact_versions"

    @property
    def name(self) -> str:
        return str(self.body["artifact"]["name"])

    @property
    def version(self) -> str:
        return str(self.body["version"])

    @property
    def uri(self) -> str:
        return str(self.body["uri"])

    @property
    def type(self) -> str:
        return str(self.body["type"])

    @property
    def materializer(self) -> str:
        """`module.Class`"""
        return _class_path(self.body["materializer"])

    @property
    def data_type(self) -> str:
        """`module.Class`"""
        return _class_path(self.body["data_type"])

    @property
    def run_metadata(self) -> dict[str, Any]:
        """Facts about the value, and what was noted about it."""
        return decode_metadata(self.metadata["run_metadata"])

    def load(self) -> Any:
        """The value itself, from the artifact store."""
        return materializers.load(self.uri, self.materializer)


@dataclass(frozen=True)
class LogPiece:
    """Some of what an attempt of a step printed."""

    step: str
    attempt: int
    text: str


def _follow(transport: "Transport", path: str) -> Iterator[LogPiece]:
    """Where the server ends an answer that was long enough it is asked again; what was heard before is left out."""
    heard = Counter[tuple[str, int]]()
    goes_on = True
    while goes_on:
        goes_on, known = False, heard.copy()
        for told in transport.stream(path, follow="true"):
            if "goes_on" in told:
                goes_on = True
                continue
            piece = LogPiece(**told)
            of = (piece.step, piece.attempt)
            text = piece.text[known[of] :]
            known[of] = max(0, known[of] - len(piece.text))
            heard[of] += len(text)
            if text:
                yield replace(piece, text=text)


class StepRunResponse(Entity):
    path = "/steps"

    def follow_logs(self) -> Iterator[LogPiece]:
        """What it prints, as it comes, until it has ended."""
        return _follow(self._transport, f"{self.path}/{self.id}/logs")

    @property
    def status(self) -> ExecutionStatus:
        return ExecutionStatus(self.body["status"])

    @property
    def status_reason(self) -> str:
        return str(self.body.get("status_reason") or "")

    @property
    def attempt(self) -> int:
        return int(self.body["attempt"])

    @property
    def start_time(self) -> datetime | None:
        return _moment_or_none(self.body["start_time"])

    @property
    def end_time(self) -> datetime | None:
        return _moment_or_none(self.body["end_time"])

    @property
    def duration(self) -> float | None:
        """Seconds."""
        found: float | None = self.body["duration"]
        return found

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = self.metadata["config"]
        return found

    @property
    def run_metadata(self) -> dict[str, Any]:
        """What was noted about it with `log_metadata`."""
        return decode_metadata(self.metadata["run_metadata"])

    @property
    def exception(self) -> dict[str, Any] | None:
        """`type`, `message` and `traceback` of what the step raised."""
        found: dict[str, Any] | None = self.metadata["exception_info"]
        return found

    @property
    def outputs(self) -> dict[str, ArtifactVersionResponse]:
        found = self.resources["outputs"]
        return {
            name: ArtifactVersionResponse(self._transport, versions[0]) for name, versions in found.items()
        }

    @property
    def output(self) -> ArtifactVersionResponse:
        """The output of a step that has one."""
        [only] = self.outputs.values()
        return only

    @property
    def logs(self) -> str:
        return str(self._transport.get(f"{self.path}/{self.id}/logs"))


@dataclass(frozen=True)
class PlannedStep:
    """What a repair does with one step: run it again or keep its artifacts, and why."""

    name: str
    runs_again: bool
    reason: str


@dataclass(frozen=True)
class RepairPlan:
    """What a repair would do."""

    steps: list[PlannedStep]

    @property
    def again(self) -> list[str]:
        return [step.name for step in self.steps if step.runs_again]

    @property
    def kept(self) -> list[str]:
        return [step.name for step in self.steps if not step.runs_again]


@dataclass(frozen=True)
class Preflight:
    """What a run would come to, as things are now."""

    configuration: dict[str, Any]
    """What would run, with every default; a secret is shown as bullets."""
    cached: list[str]
    """The steps that would not run: their results are there already."""
    running: list[str]
    expected_seconds: float | None
    """From how long the steps took before; None: they have not completed so far."""
    obstacles: list[str]
    """Why it would not start at once, in sentences."""
    runs_ahead: int
    differences: dict[str, tuple[Any, Any]]
    """By the parameter's path: its value in the last completed run, and now. None: there is none."""
    warnings: list[str]

    @classmethod
    def read(cls, answer: dict[str, Any]) -> "Preflight":
        expected = answer["expected_seconds"]
        environment = ["Its packages are installed first."] if answer["makes_environment"] else []
        return cls(
            configuration=answer["configuration"],
            cached=[step["name"] for step in answer["steps"] if step["from_cache"]],
            running=[step["name"] for step in answer["steps"] if not step["from_cache"]],
            expected_seconds=expected["typical"] if expected else None,
            obstacles=[*answer["obstacles"], *environment],
            runs_ahead=answer["runs_ahead"],
            differences={each["parameter"]: (each["before"], each["now"]) for each in answer["differences"]},
            warnings=answer["warnings"],
        )


@dataclass(frozen=True)
class RunEvent:
    """One line of a run's history, in words."""

    created: datetime
    step: str | None
    sentence: str


class PipelineRunResponse(Entity):
    path = "/runs"

    def follow_logs(self) -> Iterator[LogPiece]:
        """What its steps print, as it comes, until the run has ended."""
        return _follow(self._transport, f"{self.path}/{self.id}/logs")

    @property
    def status(self) -> ExecutionStatus:
        """As of the last answer: `refresh()` asks again, `wait()` waits for the end."""
        return ExecutionStatus(self.body["status"])

    @property
    def status_reason(self) -> str:
        return str(self.body.get("status_reason") or "")

    @property
    def is_finished(self) -> bool:
        return self.status.is_finished

    @property
    def url(self) -> str:
        """The run's page."""
        return str(urljoin(self._transport.server_url, self.body["url"]))

    @property
    def deployment_id(self) -> UUID:
        return UUID(self.body["deployment_id"])

    @property
    def template_id(self) -> UUID | None:
        found = self.metadata["template_id"]
        return UUID(found) if found else None

    @property
    def original_run_id(self) -> UUID | None:
        """The run that this one repairs."""
        found = self.metadata["original_run_id"]
        return UUID(found) if found else None

    @property
    def repair_run_ids(self) -> list[UUID]:
        """The runs that repair this one, the newest first."""
        if "repair_run_ids" not in self.metadata:
            self.refresh()
        return [UUID(found) for found in self.metadata["repair_run_ids"]]

    @property
    def pipeline(self) -> PipelineResponse:
        return PipelineResponse(self._transport, self.body["pipeline"])

    @property
    def stack(self) -> StackResponse:
        return StackResponse(self._transport, self.body["stack"])

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = self.metadata["config"]
        return found

    @property
    def run_metadata(self) -> dict[str, Any]:
        """What was noted about it with `log_metadata`."""
        return decode_metadata(self.metadata["run_metadata"])

    @property
    def tags(self) -> list[str]:
        return [tag["name"] for tag in self.resources["tags"]]

    @property
    def start_time(self) -> datetime | None:
        return _moment_or_none(self.metadata["start_time"])

    @property
    def end_time(self) -> datetime | None:
        return _moment_or_none(self.metadata["end_time"])

    @property
    def steps(self) -> dict[str, StepRunResponse]:
        """The steps by their names, as they are now."""
        found = self._transport.get(f"{self.path}/{self.id}/steps", hydrate=True, size=10_000)
        return {step["name"]: StepRunResponse(self._transport, step) for step in found["items"]}

    @property
    def events(self) -> list[RunEvent]:
        """What happened so far, the oldest first."""
        found: list[RunEvent] = []
        index, pages = 1, 1
        while index <= pages:
            answer = self._transport.get(f"{self.path}/{self.id}/events", page=index, size=1000)
            found += [
                RunEvent(_moment(event["created"]), event["step"], event["sentence"])
                for event in answer["items"]
            ]
            index, pages = index + 1, answer["total_pages"]
        return found

    def wait(self, timeout: float | None = None) -> Self:
        """Return when the run has ended, however it ended. Raises TimeoutError after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_PAUSE
        while not ExecutionStatus(self._transport.get(f"{self.path}/{self.id}/status")).is_finished:
            if deadline is not None and time.monotonic() + pause > deadline:
                raise TimeoutError(
                    f"Run {self.name} has not ended within {timeout:g} seconds. It goes on: {self.url}"
                )
            time.sleep(pause)
            pause = min(1.5 * pause, LAST_PAUSE)
        return self.refresh()

    def stop(self) -> None:
        """Ask the run to stop."""
        self._transport.post(f"{self.path}/{self.id}/stop")


class ScheduleResponse(Entity):
    path = "/schedules"

    @property
    def cron(self) -> str:
        return str(self.body["cron_expression"])

    @property
    def zone(self) -> str:
        return str(self.body["zone"])

    @property
    def is_paused(self) -> bool:
        return not self.body["active"]

    @property
    def next_times(self) -> list[datetime]:
        """The next five; none while it is paused."""
        return [_moment(text) for text in self.body["next_times"]]

    @property
    def last_fired(self) -> datetime | None:
        """The newest of its times that came, whether or not a run was made."""
        return _moment_or_none(self.body["last_fired"])

    @property
    def last_run_id(self) -> UUID | None:
        found = self.body["last_run_id"]
        return UUID(found) if found else None

    @property
    def last_run_status(self) -> ExecutionStatus | None:
        """How far the newest run is, or how it ended."""
        found = self.body.get("last_run_status")
        return ExecutionStatus(found) if found else None

    @property
    def last_refusal(self) -> str:
        """Why no run was made when that happened last, at `last_refused`."""
        return str(self.body["last_refusal"] or "")

    @property
    def last_refused(self) -> datetime | None:
        return _moment_or_none(self.body["last_refused"])

    @property
    def is_refused(self) -> bool:
        """No run was made the last time."""
        return self.last_refused is not None and self.last_refused == self.last_fired

    @property
    def config(self) -> dict[str, Any]:
        """What its runs are started with."""
        found: dict[str, Any] = self.metadata["configuration"]
        return found

    @property
    def template(self) -> RunTemplateResponse | None:
        """None when it was deleted."""
        found = self.resources["template"]
        return RunTemplateResponse(self._transport, found) if found else None


EntityType = TypeVar("EntityType", bound=Entity)


@dataclass(frozen=True)
class Page(Generic[EntityType]):
    """Some of many."""

    items: list[EntityType]
    total: int
    index: int
    total_pages: int

    @classmethod
    def of(cls, entities: Callable[[Mapping[str, Any]], EntityType], answer: Mapping[str, Any]) -> Self:
        items = [entities(item) for item in answer["items"]]
        return cls(items, answer["total"], answer["index"], answer["total_pages"])

    def __iter__(self) -> Iterator[EntityType]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> EntityType:
        return self.items[position]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _moment_or_none(text: str | None) -> datetime | None:
    return _moment(text) if text else None


def _class_path(source: Mapping[str, str]) -> str:
    return f"{source['module']}.{source['attribute']}"
