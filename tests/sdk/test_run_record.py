"""Runs without a server whose steps decide how often others run, and whether."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.factories import PIPELINES
from zenweb.artifacts import materializers
from zenweb.config.source import import_source
from zenweb.enums import ExecutionMode
from zenweb.execution.bundle_values import RunValues, StepValues
from zenweb.execution.local_run import execute_local_run
from zenweb.execution.run_record import RunRecord
from zenweb.pipelines import Pipeline


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PIPELINES))


def run(
    source: str, folder: Path, mode: ExecutionMode = ExecutionMode.CONTINUE_ON_FAILURE, **given: object
) -> RunRecord:
    """`given`: values of parameters, whichever step has them."""
    spec = import_source(source, Pipeline).compile()
    steps = {
        step.name: StepValues(
            step, {**step.parameters, **{k: v for k, v in given.items() if k in step.parameters}}, {}
        )
        for step in spec.steps
    }
    record = RunRecord(RunValues(spec, "run", mode, steps), folder, {})
    execute_local_run(record, record.id, spec, str(folder))
    record.close()
    return record


def value(record: RunRecord, step: str, output: str) -> object:
    stored = record.steps[step].outputs[output]
    return materializers.load(stored.uri, stored.materializer)


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("mapped.mapped_pipeline", ["r0*1@0.5", "r1*1@0.5", "r2*1@0.5"]),
        ("mapped.zipped_pipeline", ["r0*0@0.25", "r1*10@0.25", "r2*20@0.25"]),
        ("mapped.chained_pipeline", ["r0*1@0.5 of 3", "r1*1@0.5 of 3", "r2*1@0.5 of 3"]),
        ("mapped.literal_pipeline", ["north*1@0.5", "south*1@0.5"]),
    ],
)
def test_a_mapped_step_runs_once_for_each_element(source: str, output: list[str], tmp_path: Path) -> None:
    record = run(source, tmp_path)
    assert (record.status, value(record, "collect", "all_models")) == ("completed", output)


def test_a_list_without_elements_is_no_run(tmp_path: Path) -> None:
    record = run("mapped.mapped_pipeline", tmp_path, count=0)
    assert (record.steps["train"].status, value(record, "collect", "all_models")) == ("completed", [])


@pytest.mark.parametrize(
    ("score", "ran", "report"),
    [
        (0.5, {"deploy": True, "keep": False, "announce": True}, "deployed 0.5 and None"),
        (0.1, {"deploy": False, "keep": True, "announce": False}, "None and kept 0.1"),
    ],
)
def test_a_condition_decides_what_runs(
    score: float, ran: dict[str, bool], report: str, tmp_path: Path
) -> None:
    record = run("conditional.deploying_pipeline", tmp_path, value=score)
    assert {name: bool(record.steps[name].attempt) for name in ran} == ran
    assert (record.status, value(record, "report", "report")) == ("completed", report)
    assert record.steps["clean_up"].attempt == 1


def test_lists_that_are_not_equally_long_fail_the_step_and_what_needs_it_is_not_started(
    tmp_path: Path,
) -> None:
    record = run("mapped.zipped_pipeline", tmp_path)
    record.steps["weights"].outputs["weights"] = (
        record.steps["weights"].outputs["weights"].model_copy(update={"length": 2})
    )
    again = RunRecord(record.values, tmp_path, {})
    for step in ("regions", "weights"):
        again.steps[step] = record.steps[step]
    assert again.start_step(uuid4(), "train") is None
    assert again.start_step(uuid4(), "collect") is None
    assert (again.steps["train"].status, again.steps["collect"].status) == ("failed", "stopped")
    assert "region has 3, weight has 2" in again.steps["train"].reason


def test_what_is_mapped_over_an_output_that_is_not_there_fails_with_a_sentence(tmp_path: Path) -> None:
    record = run("mapped.zipped_pipeline", tmp_path)
    record.steps["weights"].outputs.clear()
    again = RunRecord(record.values, tmp_path, {})
    again.steps |= {name: record.steps[name] for name in ("regions", "weights")}
    assert again.start_step(uuid4(), "train") is None
    assert again.steps["train"].reason == (
        "It depends on the output 'weights' of step weights, which is not there."
    )
