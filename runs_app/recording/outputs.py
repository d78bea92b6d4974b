"""What a completed step gave out becomes versions of its artifacts."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from runs_app import statements
from runs_app.caching import Versions
from runs_app.models import StepRun
from runs_app.plans import plan_of
from zenweb.execution.metadata import OF_UPLOADS
from zenweb.execution.protocol import SAVED, StoredArtifact, saved_id


def keep_outputs(step: StepRun, outputs: dict[str, StoredArtifact], now: datetime) -> Versions:
    # In the order of the artifacts' names: two steps that make the same ones never wait for each other in a circle.
    named = sorted(_artifact_names(step, outputs))
    shown = _names_of_saved(named)
    kept = {
        (step.name, name): statements.add_output(
            project_id=step.run.project_id,
            user_id=step.run.user_id,
            step_id=step.id,
            name=shown.get(name, name),
            artifact_name=artifact_name,
            stored=_as_made(outputs[name]),
            now=now,
            version=saved_id(step.id, step.attempt, name) if name in shown else None,
        )
        for artifact_name, name in named
    }
    return {(owner, name): version for (owner, name), version in kept.items() if name not in shown}


def _artifact_names(step: StepRun, outputs: dict[str, StoredArtifact]) -> Iterator[tuple[str, str]]:
    """With the outputs' names. User code can write into its process's socket: what nobody has declared is left out."""
    spec = plan_of(step.run.deployment_id).step(step.spec_index)
    declared = {output.name: output.artifact_name for output in spec.outputs}
    for name, stored in outputs.items():
        if name in declared:
            yield declared[name], name
        elif name.startswith(SAVED) and stored.artifact_name:
            yield stored.artifact_name, name


def _names_of_saved(named: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Of what a step saved by itself: its name among the outputs, which the newest has, unless an output has it."""
    saved = {name: artifact_name for artifact_name, name in named if name.startswith(SAVED)}
    newest = {artifact_name: name for name, artifact_name in saved.items()}
    taken = {name for _, name in named if name not in saved}
    return {
        name: artifact_name if newest[artifact_name] == name and artifact_name not in taken else ""
        for name, artifact_name in saved.items()
    }


def _as_made(stored: StoredArtifact) -> StoredArtifact:
    """A step, or who calls a local run, cannot say that its output is an upload, nor which content it has."""
    facts = {name: value for name, value in stored.metadata.items() if name not in OF_UPLOADS}
    return stored.model_copy(update={"metadata": facts})
