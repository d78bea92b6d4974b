"""One attempt that nobody asked for, in a process that waits for a real one.

A forked process copies each page of memory when it first touches it. What every attempt touches is its own already
when somebody waits for it: this saves more than half of the time that a short step takes.
"""

from contextlib import suppress
from pathlib import Path
from uuid import UUID

from zenweb.config.spec import OutputSpec
from zenweb.execution.protocol import Assignment, Event, InputArtifact, OutputSaved, to_line
from zenweb.execution.runner import run_attempt
from zenweb.steps import step

OURS = "zenweb."


@step
def _passes_on(number: int) -> int:
    return number


def save_something(folder: Path) -> InputArtifact | None:
    """An artifact for all rehearsals to load; None where nothing can be saved, which the real attempts will tell."""
    saved: list[OutputSaved] = []
    _run(_assignment(folder, {"number": 1}, {}), saved)
    if not saved or not saved[0].artifact.materializer.startswith(OURS):
        return None  # user code that stores numbers in its own way runs when it is asked for
    stored = saved[0].artifact
    return InputArtifact(
        id=UUID(int=0),
        name="",
        artifact_version="",
        uri=stored.uri,
        materializer=stored.materializer,
        data_type=stored.data_type,
        type=stored.type,
    )


def rehearse(folder: Path, stored: InputArtifact) -> None:
    """Go through everything that an attempt goes through, from its assignment to its end.

    It may save to the folder that was saved to before: making one takes long.
    """
    _run(_assignment(folder, {}, {"number": stored}), [])


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
