"""Runs and their steps: how they are, what they printed and made, and waiting for their end."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin
from uuid import UUID

from zenweb.enums import ExecutionStatus
from zenweb.exceptions import DoesNotExist
from zenweb.execution.metadata import decode_metadata
from zenweb.execution.triggers import waiting_for
from zenweb.patience import Away, Patience
from zenweb.responses.artifacts import ArtifactVersionResponse
from zenweb.responses.catalog import PipelineResponse, StackResponse
from zenweb.responses.entity import Entity
from zenweb.responses.facts import LogPiece, RunEvent
from zenweb.thing import moment, moment_or_none

if TYPE_CHECKING:
    from zenweb.transport import Transport

# Seconds between two looks at a run that is waited for.
FIRST_PAUSE, LAST_PAUSE = 0.05, 1.0
# Of a run that takes long, a twentieth of how long it took so far is soon enough: then many may wait.
LONGEST_PAUSE = 5.0
# So that many who began to wait at once do not ask at once.
_spread = random.SystemRandom()


def _follow(transport: "Transport", path: str) -> Iterator[LogPiece]:
    """Each piece once: where an answer breaks off, or was long enough for the server, it is asked again.

    What was heard before is left out then.
    """
    heard, patience = Counter[tuple[str, int]](), Patience()
    goes_on = True
    while goes_on:
        goes_on, known = False, heard.copy()
        try:
            for told in transport.stream(path, follow="true"):
                patience.renew()
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
        except Away as error:
            patience.bear(error)
            goes_on = True
            time.sleep(LAST_PAUSE)


class StepRunResponse(Entity):
    """One step of a run."""

    path = "/steps"

    def follow_logs(self) -> Iterator[LogPiece]:
        """What it prints, as it comes, until it has ended."""
        return _follow(self._transport, f"{self.path}/{self.id}/logs")

    @property
    def status(self) -> ExecutionStatus:
        """As of the last answer: `refresh()` asks again."""
        return ExecutionStatus(self.body["status"])

    @property
    def status_reason(self) -> str:
        """Why it is so, in a sentence; empty where there is nothing to say."""
        return str(self.body.get("status_reason") or "")

    @property
    def attempt(self) -> int:
        """How often it was begun; 0: not yet."""
        return int(self.body["attempt"])

    @property
    def is_skipped(self) -> bool:
        """It was not run: its condition did not hold, or what it needs was skipped."""
        return bool(self.metadata["is_skipped"])

    @property
    def elements(self) -> int | None:
        """Of a step that is mapped over a list: how often it runs, once that is known."""
        found: int | None = self.metadata["elements"]
        return found

    @property
    def element(self) -> int | None:
        """Of one run of such a step: its place among them, from 0."""
        found: int | None = self.metadata["element"]
        return found

    @property
    def start_time(self) -> datetime | None:
        """When its newest attempt began, in UTC."""
        return moment_or_none(self.body["start_time"])

    @property
    def end_time(self) -> datetime | None:
        """When it ended, in UTC; None: it has not."""
        return moment_or_none(self.body["end_time"])

    @property
    def duration(self) -> float | None:
        """Seconds."""
        found: float | None = self.body["duration"]
        return found

    @property
    def config(self) -> dict[str, Any]:
        """What it runs with: `parameters` as JSON, and settings such as `retry` and `timeout`."""
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
        """What it returned, by the outputs' names: `run.steps["trainer"].outputs["score"].load()`."""
        found = self.resources["outputs"]
        return {
            name: ArtifactVersionResponse(self._transport, versions[0]) for name, versions in found.items()
        }

    @property
    def output(self) -> ArtifactVersionResponse:
        """The output of a step that has one; what it saved beside does not count. Raises DoesNotExist for any other."""
        found = {name: version for name, version in self.outputs.items() if version.is_output}
        if len(found) != 1:
            raise DoesNotExist(self._instead_of_one(list(found)))
        return next(iter(found.values()))

    def _instead_of_one(self, names: list[str]) -> str:
        if self.elements is not None:
            return (
                f"Step {self.name} ran once for each of {self.elements} elements, and each run has its own output: "
                f"run.steps['{self.name}-0'].output is that of the first."
            )
        if names:
            return f"Step {self.name} has several outputs, {', '.join(names)}: take .outputs[{names[0]!r}]."
        return f"Step {self.name} has no output: it is {self.status}. {self.status_reason}".rstrip()

    @property
    def logs(self) -> str:
        """What its newest attempt has printed so far."""
        return str(self._transport.get(f"{self.path}/{self.id}/logs"))


class PipelineRunResponse(Entity):
    """A run: one execution of a pipeline."""

    path = "/runs"

    def follow_logs(self) -> Iterator[LogPiece]:
        """What its steps print, as it comes, until the run has ended."""
        return _follow(self._transport, f"{self.path}/{self.id}/logs")

    @property
    def logs(self) -> str:
        """What its steps have printed so far."""
        return str(self._transport.get(f"{self.path}/{self.id}/logs"))

    @property
    def status(self) -> ExecutionStatus:
        """As of the last answer: `refresh()` asks again, `wait()` waits for the end."""
        return ExecutionStatus(self.body["status"])

    @property
    def status_reason(self) -> str:
        """Why it is so, in a sentence; empty where there is nothing to say."""
        return str(self.body.get("status_reason") or "")

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, however it ended, as of the last answer."""
        return self.status.is_finished

    @property
    def url(self) -> str:
        """The run's page."""
        return str(urljoin(self._transport.server_url, self.body["url"]))

    @property
    def deployment_id(self) -> UUID:
        """What it runs; of a run on a remote stack `create_run_template` makes a template of it."""
        return UUID(self.body["deployment_id"])

    @property
    def template_id(self) -> UUID | None:
        """The template that it is a run of; None: the pipeline was called, or the template is gone."""
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
            self._complete("metadata")
        return [UUID(found) for found in self.metadata["repair_run_ids"]]

    @property
    def parent_run_id(self) -> UUID | None:
        """The run whose step has started this one."""
        found = self.metadata["parent_run_id"]
        return UUID(found) if found else None

    @property
    def parent_step_name(self) -> str | None:
        """The name of that step. None also where its run is not for you to see."""
        if "parent_step_name" not in self.metadata:
            self.refresh()
        found: str | None = self.metadata["parent_step_name"]
        return found

    @property
    def parent(self) -> "PipelineRunResponse | None":
        """The run whose step has started this one. Raises DoesNotExist where it is not for you to see."""
        if self.parent_run_id is None:
            return None
        answer = self._transport.get(f"{self.path}/{self.parent_run_id}", hydrate=True)
        return PipelineRunResponse(self._transport, answer)

    @property
    def children(self) -> "list[PipelineRunResponse]":
        """The runs that its steps have started, as they are now, the oldest first."""
        filters = {"parent_run_id": self.id, "sort_by": "asc:created", "size": 10_000}
        found = self._transport.get(self.path, hydrate=True, **filters)
        return [PipelineRunResponse(self._transport, run) for run in found["items"]]

    @property
    def pipeline(self) -> PipelineResponse:
        """The pipeline that it is a run of."""
        return PipelineResponse(self._transport, self.body["pipeline"])

    @property
    def stack(self) -> StackResponse:
        """Where it executes."""
        return StackResponse(self._transport, self.body["stack"])

    @property
    def config(self) -> dict[str, Any]:
        """What it runs with, every default filled in; a secret is shown as bullets."""
        found: dict[str, Any] = self.metadata["config"]
        return found

    @property
    def run_metadata(self) -> dict[str, Any]:
        """What was noted about it with `log_metadata`."""
        return decode_metadata(self.metadata["run_metadata"])

    @property
    def tags(self) -> list[str]:
        """The names of its tags."""
        return [tag["name"] for tag in self.resources["tags"]]

    @property
    def start_time(self) -> datetime | None:
        """When its first step began, in UTC; None: none has."""
        return moment_or_none(self.metadata["start_time"])

    @property
    def end_time(self) -> datetime | None:
        """When it ended, in UTC; None: it has not."""
        return moment_or_none(self.metadata["end_time"])

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
                RunEvent(moment(event["created"]), event["step"], event["sentence"])
                for event in answer["items"]
            ]
            index, pages = index + 1, answer["total_pages"]
        return found

    def wait(self, timeout: float | None = None) -> Self:
        """Return when the run has ended, however it ended. Raises TimeoutError after `timeout` seconds.

        A server that is started again meanwhile is asked again, for a minute. A step that waits so takes no slot of its
        worker.
        """
        deadline, patience = None if timeout is None else time.monotonic() + timeout, Patience()
        if not self._is_seen_ended(patience):
            with waiting_for(self.id):
                self._wait_until(deadline, timeout, patience)
        return self

    def _wait_until(self, deadline: float | None, timeout: float | None, patience: Patience) -> None:
        begun, pause = time.monotonic(), FIRST_PAUSE
        while not self._is_seen_ended(patience):
            rest = pause * _spread.uniform(0.5, 1.5)
            if deadline is not None:
                rest = min(rest, deadline - time.monotonic())
                if rest <= 0:
                    raise TimeoutError(
                        f"Run {self.name} has not ended within {timeout:g} seconds. It goes on: {self.url}"
                    )
            time.sleep(rest)
            pause = min(1.5 * pause, max(LAST_PAUSE, (time.monotonic() - begun) / 20), LONGEST_PAUSE)

    def _is_seen_ended(self, patience: Patience) -> bool:
        """Whether it has ended, and is known as it is then; a server that is away is borne."""
        try:
            status = ExecutionStatus(self._transport.get(f"{self.path}/{self.id}/status"))
            if status.is_finished:
                self.refresh()
        except Away as error:
            patience.bear(error)
            return False
        patience.renew()
        return status.is_finished

    def stop(self) -> None:
        """Ask the run to stop."""
        self._transport.post(f"{self.path}/{self.id}/stop", is_repeatable=True)
