"""The one output of a step, and what is said where there is not one."""

import uuid
from typing import Any

import pytest

from zenweb.exceptions import DoesNotExist
from zenweb.responses import StepRunResponse

NOBODY: Any = None


def step(outputs: list[str], status: str = "completed", reason: str = "", **metadata: Any) -> StepRunResponse:
    return StepRunResponse(
        NOBODY,
        {
            "id": str(uuid.uuid4()),
            "name": "train",
            "body": {"status": status, "status_reason": reason},
            "metadata": {"elements": None, "element": None, "is_skipped": False, **metadata},
            "resources": {
                "outputs": {
                    name: [{"id": str(uuid.uuid4()), "body": {"save_type": "step_output"}}]
                    for name in outputs
                }
            },
        },
    )


def refusal(of: StepRunResponse) -> str:
    with pytest.raises(DoesNotExist) as refused:
        _ = of.output
    return str(refused.value)


def test_the_output_of_a_step_that_has_one() -> None:
    only = step(["score"])
    assert only.output.id == only.outputs["score"].id


def test_of_several_it_says_which_there_are() -> None:
    assert refusal(step(["model", "score"])).endswith(
        "several outputs, model, score: take .outputs['model']."
    )


def test_of_a_mapped_step_it_says_where_those_of_its_elements_are() -> None:
    assert "run.steps['train-0'].output" in refusal(step([], elements=3))


def test_of_a_step_that_was_not_run_it_says_why() -> None:
    told = refusal(step([], "stopped", "Skipped: is_better returned False.", is_skipped=True))
    assert told == "Step train has no output: it is stopped. Skipped: is_better returned False."
