"""`log_metadata`: what is worth knowing about a step, a run or an artifact, noted inside a step or outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from zenweb.exceptions import DoesNotExist, NoStepIsRunning, ValidationFailed
from zenweb.execution.context import StepContext
from zenweb.execution.current_step import current_step
from zenweb.execution.metadata import encode_metadata

if TYPE_CHECKING:
    from zenweb.client import Client

Id = UUID | str


def log_metadata(
    metadata: Mapping[str, Any],
    *,
    step_id: Id | None = None,
    step_name: str | None = None,
    run_id_name_or_prefix: Id | None = None,
    artifact_version_id: Id | None = None,
    artifact_name: str | None = None,
    artifact_version: str | int | None = None,
    infer_artifact: bool = False,
) -> None:
    """Note values by their names; a name that was noted before gets the newer value.

    Inside a step, without more: about the step. `infer_artifact=True`: about its only output, or the one that
    `artifact_name` names. From anywhere: about a run (`run_id_name_or_prefix`), a step of it (and `step_name`, or
    `step_id` alone), or an artifact (`artifact_version_id`, or `artifact_name` with or without `artifact_version`).
    Raises ValidationFailed for what is no metadata, DoesNotExist where there is no such thing.
    """
    target = Target(
        step_id, step_name, run_id_name_or_prefix, artifact_version_id, artifact_name, artifact_version
    )
    target.check()
    step = current_step()
    is_output = infer_artifact or (artifact_name is not None and artifact_version is None)
    if step is not None and is_output:
        step.add_output_metadata(metadata, artifact_name)
    elif step is not None and (about := target.part_of(step)):
        step.add_metadata(metadata, about)
    elif infer_artifact or target.is_open:
        raise NoStepIsRunning(
            "log_metadata() outside of a step has to be told what about: `run_id_name_or_prefix`, with `step_name` "
            "for one of its steps; `artifact_version_id`; or `artifact_name`."
        )
    else:
        _send(metadata, target)


@dataclass(frozen=True)
class Target:
    """What metadata are about, as the caller said it."""

    step_id: Id | None
    step_name: str | None
    run: Id | None
    artifact_version_id: Id | None
    artifact_name: str | None
    artifact_version: str | int | None

    @property
    def is_open(self) -> bool:
        return not self._named

    @property
    def _named(self) -> list[Id]:
        named = (self.step_id, self.run, self.artifact_version_id, self.artifact_name)
        return [name for name in named if name is not None]

    def check(self) -> None:
        if len(self._named) > 1:
            raise ValidationFailed("log_metadata() is about one thing: a step, a run or an artifact.")
        if self.step_name is not None and self.run is None:
            raise ValidationFailed("With `step_name`, say of which run: `run_id_name_or_prefix`.")
        if self.artifact_version is not None and self.artifact_name is None:
            raise ValidationFailed("With `artifact_version`, say of which artifact: `artifact_name`.")

    def part_of(self, step: StepContext) -> Literal["step", "run"] | None:
        """The running step itself or its run, about which it can speak without a server; None: something else."""
        if self.is_open or str(self.step_id) == str(step.step_run.id):
            return "step"
        if str(self.run) not in {str(step.pipeline_run.id), step.pipeline_run.name}:
            return None
        if self.step_name is None:
            return "run"
        return "step" if self.step_name == step.step_name else None


def _send(metadata: Mapping[str, Any], target: Target) -> None:
    values = encode_metadata(metadata)
    from zenweb.client import Client  # noqa: PLC0415  # loads httpx, which steps on workers do without

    client = Client()
    client.create_run_metadata(values, *_resource(client, target))


def _resource(client: "Client", target: Target) -> tuple[str, UUID]:
    if target.step_id is not None:
        return "step_run", UUID(str(target.step_id))
    if target.run is not None:
        run = client.get_pipeline_run(target.run, hydrate=False)
        return ("pipeline_run", run.id) if target.step_name is None else ("step_run", _step_of(run, target))
    artifact = target.artifact_version_id or target.artifact_name or ""
    return "artifact_version", client.get_artifact_version(artifact, target.artifact_version).id


def _step_of(run: Any, target: Target) -> UUID:
    steps = run.steps
    if target.step_name not in steps:
        raise DoesNotExist(f"Run {run.name} has no step {target.step_name!r}. There is: {', '.join(steps)}.")
    found: UUID = steps[target.step_name].id
    return found
