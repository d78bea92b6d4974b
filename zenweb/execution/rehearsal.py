"""One attempt that nobody asked for, in a process that waits for a real one.

A forked process copies each page of memory when it first touches it. What every attempt touches is its own already
when somebody waits for it: this saves more than half of the time that a short step takes.
"""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from zenweb.artifacts.materializers import registry
from zenweb.config.spec import OutputSpec
from zenweb.execution.protocol import Assignment, Event, InputArtifact, OutputSaved, to_line
from zenweb.execution.runner import run_attempt
from zenweb.steps import step


@step
def _passes_on(number: int) -> int:
    return number


@dataclass(frozen=True)
class Script:
    """What is loaded and saved at each rehearsal, in a folder that is made once: making one takes long."""

    folder: Path
    stored: InputArtifact

    def rehearse(self) -> None:
        """Go through everything that an attempt goes through, from its assignment to its end."""
        _run(_assignment(self.folder, {}, {"number": self.stored}), [])

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def write_script(folder: Path) -> Script | None:
    """None where user code stores numbers in a way of its own, or nothing can be saved: the real attempts will tell."""
    if not next(registry.candidates(int)).__module__.startswith("zenweb."):
        return None
    saved: list[OutputSaved] = []
    _run(_assignment(folder, {"number": 1}, {}), saved)
    if not saved:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    stored = saved[0].artifact
    given = InputArtifact(
        id=UUID(int=0),
        name="",
        artifact_version="",
        uri=stored.uri,
        materializer=stored.materializer,
        data_type=stored.data_type,
        type=stored.type,
    )
    return Script(folder, given)


def _run(assignment: Assignment, saved: list[OutputSaved]) -> None:
    def take(event: Event) -> None:
        to_line(event)
        if isinstance(event, OutputSaved):
            saved.append(event)

    # What the pipeline's import did to this process may break anything. The real attempt will tell, to its run.
    with suppress(Exception):
        run_attempt(_passes_on, Assignment.model_validate_json(to_line(assignment)), take)


def _assignment(folder: Path, parameters: dict[str, int], inputs: dict[str, InputArtifact]) -> Assignment:
    return Assignment(
        run_id=UUID(int=0),
        run_name="",
        pipeline_name="",
        step_run_id=UUID(int=0),
        step_name="",
        attempt=1,
        source="",
        parameters=parameters,
        inputs=inputs,
        outputs=[OutputSpec(name="output", artifact_name="", type="")],
        artifact_uri=str(folder),
    )
