"""What user code may ask and note about the step it runs in."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Literal
from uuid import UUID

from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.enums import ArtifactType
from zenweb.exceptions import NoStepIsRunning, NotInThisStep, ValidationFailed
from zenweb.execution.current_step import being_current, current_step
from zenweb.execution.metadata import Noted, check_names_about_artifact, encode_metadata, joined
from zenweb.execution.protocol import (
    LONGEST_ARTIFACT_NAME,
    SAVED,
    Assignment,
    Event,
    MetadataNoted,
    OutputSaved,
    saved_id,
)
from zenweb.execution.saving import store_value

MOST_SAVED = 1000


@dataclass
class Notes:
    """What the attempt has noted so far."""

    about: dict[str, Noted] = field(default_factory=lambda: {"step": {}, "run": {}})
    outputs: dict[str, Noted] = field(default_factory=dict)
    saved: int = 0
    """How many artifacts it has saved beside its outputs."""
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class StepContext:
    """The running step, its run and its place among the attempts."""

    assignment: Assignment
    emit: Callable[[Event], None]
    notes: Notes = field(default_factory=Notes)
    calls: Counter[str] = field(default_factory=Counter)
    process: int = field(default_factory=os.getpid)
    """The one that runs it; what it has forked has the same context."""

    @property
    def attempt(self) -> int:
        """1 for the first try. A step may run again after its worker died, even if it had finished its work."""
        return self.assignment.attempt

    @property
    def idempotency_key(self) -> str:
        """A text that is the same for every attempt of this step, for systems that must act only once."""
        return self.assignment.idempotency_key

    @property
    def pipeline(self) -> SimpleNamespace:
        """Its `name`."""
        return SimpleNamespace(name=self.assignment.pipeline_name)

    @property
    def pipeline_run(self) -> SimpleNamespace:
        """The run's `id` and `name`."""
        return SimpleNamespace(id=self.assignment.run_id, name=self.assignment.run_name)

    @property
    def step_run(self) -> SimpleNamespace:
        """The step's `id`, `name` and `config`: its `parameters` as JSON, and its `settings` (retry, timeout, …)."""
        given = self.assignment
        config = SimpleNamespace(name=given.step_name, parameters=given.parameters, settings=given.settings)
        return SimpleNamespace(id=given.step_run_id, name=given.step_name, config=config)

    @property
    def step_name(self) -> str:
        """As the pipeline calls it: `trainer`, and of a second use `trainer_2`."""
        return self.assignment.step_name

    @property
    def inputs(self) -> dict[str, UnmaterializedArtifact]:
        """The artifact versions that fill parameters, by the parameters' names."""
        return {name: given.unloaded() for name, given in self.assignment.inputs.items()}

    def get_output_artifact_uri(self, output_name: str | None = None) -> str:
        """The folder in the artifact store that will hold this output; the only one needs no name."""
        return f"{self.assignment.artifact_uri}/{self.find_output(output_name)}"

    def add_output_metadata(self, metadata: Mapping[str, Any], output_name: str | None = None) -> None:
        """Note something about an output that the step will return; the only one needs no name."""
        output, values = self.find_output(output_name), encode_metadata(metadata)
        check_names_about_artifact(values)
        with self.notes.lock:
            self.notes.outputs[output] = joined(self.notes.outputs.get(output, {}), values)

    def add_metadata(self, metadata: Mapping[str, Any], about: Literal["step", "run"] = "step") -> None:
        """Note something about the step or its run."""
        values = encode_metadata(metadata)
        with self.notes.lock:
            self.notes.about[about] = joined(self.notes.about[about], values)
        self.emit(MetadataNoted(about=about, values=values))

    def save_artifact(
        self, value: Any, name: str, metadata: Mapping[str, Any] | None = None
    ) -> UnmaterializedArtifact:
        """Keep a value beside the outputs, as a version of the artifact with this name, if the step completes."""
        _check_artifact_name(name)
        noted = encode_metadata(metadata or {})
        check_names_about_artifact(noted)
        place = self._next_place()
        stored = store_value(value, Any, f"{self.assignment.artifact_uri}/{place}")
        artifact = stored.model_copy(update={"artifact_name": name, "metadata": {**stored.metadata, **noted}})
        self.emit(OutputSaved(name=place, artifact=artifact))
        return UnmaterializedArtifact(
            id=str(saved_id(self.assignment.step_run_id, self.attempt, place)),
            name=name,
            version="",  # numbered when the step has completed
            uri=stored.uri,
            type=ArtifactType(stored.type),
            data_type=stored.data_type,
            materializer=stored.materializer,
        )

    def _next_place(self) -> str:
        with self.notes.lock:
            if self.notes.saved >= MOST_SAVED:
                raise ValidationFailed(
                    f"A step may save {MOST_SAVED} artifacts beside its outputs. Keep more values in one of them."
                )
            self.notes.saved += 1
            return f"{SAVED}{self.notes.saved:04}"

    def count_call(self, wanted: str) -> int:
        """How often this was asked for by now, this time included."""
        with self.notes.lock:
            self.calls[wanted] += 1
            return self.calls[wanted]

    def find_output(self, name: str | None) -> str:
        """The output of that name, or with that artifact's; without a name, the only one. Raises NotInThisStep."""
        outputs = self.assignment.outputs
        if name is None and len(outputs) == 1:
            return outputs[0].name
        found = next((output.name for output in outputs if name in {output.name, output.artifact_name}), None)
        if found is not None:
            return found
        there_is = f"There is: {', '.join(output.name for output in outputs)}." if outputs else "It has none."
        if name is None and outputs:
            raise NotInThisStep(f"Step {self.step_name!r} has several outputs: say which one. {there_is}")
        which = "output" if name is None else f"output {name!r}"
        raise NotInThisStep(f"Step {self.step_name!r} has no {which}. {there_is}")


def _check_artifact_name(name: object) -> None:
    if not isinstance(name, str) or not _can_be_read(name) or _is_id(name):
        raise ValidationFailed(
            f"An artifact's name is one line of up to {LONGEST_ARTIFACT_NAME} characters and looks like no id, "
            f"not {str(name)[:50]!r}."
        )


def _can_be_read(name: str) -> bool:
    return 1 <= len(name) <= LONGEST_ARTIFACT_NAME and name.isprintable() and name == name.strip()


def _is_id(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


def get_step_context() -> StepContext:
    """The context of the step that is running; RuntimeError outside of one."""
    context = current_step()
    if context is None:
        raise NoStepIsRunning("get_step_context() works only inside a running step.")
    return context


@contextmanager
def running(assignment: Assignment, emit: Callable[[Event], None]) -> Iterator[StepContext]:
    context = StepContext(assignment, emit)
    with being_current(context, is_alone=assignment.server is not None):
        yield context
