"""What user code may ask about the step it runs in."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import SimpleNamespace

from zenweb.exceptions import NoStepIsRunning
from zenweb.execution.protocol import Assignment, InputArtifact

_current: ContextVar["StepContext | None"] = ContextVar("zenweb_step", default=None)


@dataclass(frozen=True)
class StepContext:
    """The running step, its run and its place among the attempts."""

    assignment: Assignment

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
        return SimpleNamespace(name=self.assignment.pipeline_name)

    @property
    def pipeline_run(self) -> SimpleNamespace:
        return SimpleNamespace(id=self.assignment.run_id, name=self.assignment.run_name)

    @property
    def step_run(self) -> SimpleNamespace:
        return SimpleNamespace(id=self.assignment.step_run_id, name=self.assignment.step_name)

    @property
    def step_name(self) -> str:
        return self.assignment.step_name

    @property
    def inputs(self) -> dict[str, InputArtifact]:
        return self.assignment.inputs

    def get_output_artifact_uri(self, output_name: str | None = None) -> str:
        """The folder in the artifact store that will hold this output; the only one needs no name."""
        names = [output.name for output in self.assignment.outputs]
        if output_name is None and len(names) == 1:
            output_name = names[0]
        if output_name not in names:
            raise NoStepIsRunning(
                f"Step {self.step_name!r} has no output {output_name!r}. There is: {', '.join(names)}."
            )
        return f"{self.assignment.artifact_uri}/{output_name}"


def get_step_context() -> StepContext:
    """The context of the step that is running; RuntimeError outside of one."""
    context = _current.get()
    if context is None:
        raise NoStepIsRunning("get_step_context() works only inside a running step.")
    return context


@contextmanager
def running(assignment: Assignment) -> Iterator[StepContext]:
    context = StepContext(assignment)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
