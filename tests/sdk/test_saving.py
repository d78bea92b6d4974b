"""`save_artifact`: what it refuses, and what an attempt tells of what was saved."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from zenweb import save_artifact
from zenweb.exceptions import NoStepIsRunning, ValidationFailed
from zenweb.execution import context
from zenweb.execution.protocol import Assignment, Event, OutputSaved, saved_id


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    return Assignment(
        run_id=uuid4(),
        run_name="r",
        pipeline_name="p",
        step_run_id=uuid4(),
        step_name="train",
        attempt=2,
        source="run.train",
        parameters={},
        inputs={},
        outputs=[],
        artifact_uri=str(tmp_path),
    )


def test_it_is_told_with_the_id_that_the_server_will_give_it(assignment: Assignment) -> None:
    told: list[Event] = []
    with context.running(assignment, told.append):
        saved = save_artifact([1, 2], "numbers", user_metadata={"source": "here"})
    [event] = told
    assert isinstance(event, OutputSaved)
    assert (event.artifact.artifact_name, event.artifact.metadata["source"]) == ("numbers", "here")
    assert UUID(saved.id) == saved_id(assignment.step_run_id, 2, event.name)
    assert saved.load() == [1, 2]


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "two\nlines", "0" * 32, None, 7])
def test_a_name_that_names_nothing_is_refused(assignment: Assignment, name: Any) -> None:
    with (
        context.running(assignment, lambda _: None),
        pytest.raises(ValidationFailed, match="one line of up to 200"),
    ):
        save_artifact(1, name)


def test_a_step_saves_a_bounded_number(assignment: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "MOST_SAVED", 1)
    with context.running(assignment, lambda _: None):
        save_artifact(1, "number")
        with pytest.raises(ValidationFailed, match="A step may save 1 artifacts"):
            save_artifact(2, "number")


def test_outside_of_a_step_it_says_what_to_do() -> None:
    with pytest.raises(NoStepIsRunning, match="upload_file"):
        save_artifact(1, "number")
