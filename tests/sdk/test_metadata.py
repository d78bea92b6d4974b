"""What can be noted, and about what; inside a step nothing but the step's own process is needed."""

import enum
import json
import math
import subprocess
import sys
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

from zenweb import get_step_context, log_metadata
from zenweb.client import Client
from zenweb.exceptions import NoStepIsRunning, NotConnected, NotInThisStep, ValidationFailed
from zenweb.execution import context
from zenweb.execution.metadata import MOST_BYTES, decode_metadata, encode_metadata
from zenweb.execution.protocol import Assignment, MetadataNoted, OutputSpec, noted_in, parse_event, to_line


class Kind(enum.Enum):
    LINEAR = "linear"


class Level(enum.IntEnum):
    HIGH = 3


class Celsius(float):
    """A number with a name."""


@pytest.fixture
def step():
    """A step with the outputs `model` and `report` that is running here; and what it has emitted."""
    events = []
    outputs = [
        OutputSpec(name=name, artifact_name=f"p::s::{name}", type="int") for name in ("model", "report")
    ]
    assignment = Assignment(
        run_id=uuid4(),
        run_name="nightly",
        pipeline_name="p",
        step_run_id=uuid4(),
        step_name="s",
        attempt=2,
        source="m.s",
        parameters={"rate": 1},
        inputs={},
        outputs=outputs,
        artifact_uri="/store/a",
        settings={"timeout": 5},
    )
    with context.running(assignment, events.append) as running:
        yield running, events


@pytest.mark.parametrize(
    "name", ["file_name", "sha256", "storage_size", "file_count", "string_representation"]
)
def test_what_was_stored_is_not_spoken_over_by_a_step(step, name):
    running, _ = step
    with pytest.raises(ValidationFailed, match=f"/{name}: This says what was stored .* choose another name"):
        running.add_output_metadata({"accuracy": 0.93, name: "x"}, "model")
    assert running.notes.outputs == {}
    log_metadata({name: "x"})  # about the step it is a name like any other


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("nul \x00 and half a pair \ud800", "nul \x00 and half a pair \ud800"),
        (3, 3),
        (2**2000, 2**2000),
        (0.1, 0.1),
        (1e300, 1e300),
        (-math.inf, -math.inf),
        (True, True),
        (None, None),
        ([1, [2.5, None]], [1, [2.5, None]]),
        ((1, 2), (1, 2)),
        ({"a": {"b": [1]}}, {"a": {"b": [1]}}),
        (OrderedDict(b=1, a=2), OrderedDict(b=1, a=2)),
        (np.float32(0.5), 0.5),
        (np.int64(-1), -1),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.longdouble(0.5), 0.5),
        (np.datetime64("2024-01-01T00:00:00.000001"), datetime(2024, 1, 1, microsecond=1)),  # noqa: DTZ001
        (np.datetime64("NaT", "s"), None),
        (np.timedelta64(3, "s"), timedelta(seconds=3)),
        (pd.Timestamp("2024-01-01", tz="UTC"), datetime(2024, 1, 1, tzinfo=UTC)),
        (pd.NaT, None),
        (date(2024, 2, 29), date(2024, 2, 29)),
        (Decimal("1.10"), Decimal("1.10")),
        (Path("/data/x.csv"), "/data/x.csv"),
        (Kind.LINEAR, "linear"),
        (Level.HIGH, 3),
        (Celsius(21.5), 21.5),
    ],
    ids=str,
)  # fmt: skip
def test_values_come_back_as_plain_python(value, expected):
    text = json.dumps(encode_metadata({"value": value, "inside": [value]}), allow_nan=False)
    assert "\\u0000" not in text
    found = decode_metadata(json.loads(text))
    assert found == {"value": expected, "inside": [expected]}
    assert type(found["value"]) is type(expected)


def test_not_a_number_comes_back_as_one():
    assert math.isnan(decode_metadata(encode_metadata({"loss": np.float64("nan")}))["loss"])


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


CIRCLE = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ([1], r"Metadata are values by their names, such as .*, not a list\."),
        ({1: 2}, r"/1: Metadata are values by their names.*: the name 1 is no text"),
        ({"": 2}, r"A name has 1 to 255 printable characters"),
        ({"$zenweb": 2}, r"A name has 1 to 255 printable characters"),
        ({"a\x00": 2}, r"A name has 1 to 255 printable characters"),
        ({"model": object()}, r"/model: A value of type 'object' is no metadata: give numbers"),
        ({"model": [object()]}, r"/model: A value of type 'list' is no metadata: give numbers"),
        ({"array": np.zeros(3)}, r"/array: A value of type 'ndarray' is no metadata"),
        ({"deep": deep(21)}, r"/deep: This is nested more than 20 levels deep"),
        ({"deep": deep(5000)}, r"/deep: This is nested more than 20 levels deep"),
        ({"circle": CIRCLE}, r"/circle: This is nested .* or holds itself"),
        ({"long": "x" * MOST_BYTES}, r"These are 100,0\d\d bytes of metadata, and 100,000 about one thing are kept"),
    ],
)  # fmt: skip
def test_what_is_no_metadata_is_refused_in_words(metadata, message):
    with pytest.raises(ValidationFailed, match=message):
        encode_metadata(metadata)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ValidationFailed) as refused:
        encode_metadata({"a": object(), "b": 1, "c": {1, object()}})
    assert [error.pointer for error in refused.value.errors] == ["/a", "/c"]


def test_inside_a_step_metadata_are_about_the_step(step):
    _, events = step
    log_metadata({"a": 1, "b": 1})
    log_metadata({"b": 2})
    assert noted_in(events) == {"step": {"a": 1, "b": 2}}


def test_about_its_own_run_a_step_speaks_without_a_server(step):
    running, events = step
    log_metadata({"a": 1}, run_id_name_or_prefix="nightly")
    log_metadata({"b": 1}, run_id_name_or_prefix=running.pipeline_run.id, step_name="s")
    log_metadata({"c": 1}, step_id=running.step_run.id)
    assert noted_in(events) == {"run": {"a": 1}, "step": {"b": 1, "c": 1}}


def test_about_an_output_by_its_name_or_its_artifacts(step):
    running, events = step
    log_metadata({"a": 1}, artifact_name="model")
    log_metadata({"b": 1}, infer_artifact=True, artifact_name="p::s::model")
    running.add_output_metadata({"c": 1}, "report")
    assert running.notes.outputs == {"model": {"a": 1, "b": 1}, "report": {"c": 1}}
    assert events == []


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"infer_artifact": True}, r"Step 's' has several outputs: say which one. There is: model, report\."),
        ({"artifact_name": "modl"}, r"Step 's' has no output 'modl'. There is: model, report\."),
    ],
)
def test_an_output_that_the_step_does_not_have_is_refused(step, target, message):
    with pytest.raises(NotInThisStep, match=message):
        log_metadata({"a": 1}, **target)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"step_id": "x", "artifact_name": "y"}, r"about one thing"),
        ({"step_name": "x"}, r"say of which run: `run_id_name_or_prefix`"),
        ({"artifact_version": "1"}, r"say of which artifact: `artifact_name`"),
    ],
)
def test_half_a_target_is_refused(target, message):
    with pytest.raises(ValidationFailed, match=message):
        log_metadata({"a": 1}, **target)


@pytest.mark.parametrize("target", [{}, {"infer_artifact": True}])
def test_outside_of_a_step_the_target_has_to_be_named(target):
    with pytest.raises(NoStepIsRunning, match="has to be told what about"):
        log_metadata({"a": 1}, **target)


def test_many_small_notes_are_too_much_in_the_end(step):
    _, events = step
    log_metadata({"a": "x" * (MOST_BYTES // 2)})
    with pytest.raises(ValidationFailed, match="bytes of metadata"):
        log_metadata({"b": "x" * (MOST_BYTES // 2)})
    log_metadata({"a": "short"})
    assert noted_in(events) == {"step": {"a": "short"}}


def test_the_context_tells_parameters_and_settings(step):
    running, _ = step
    assert get_step_context() is running
    assert running.step_run.config.parameters == {"rate": 1}
    assert running.step_run.config.settings == {"timeout": 5}
    assert running.get_output_artifact_uri("report") == "/store/a/report"


def test_an_event_that_is_not_known_is_passed_over():
    line = to_line(MetadataNoted(about="step", values={"a": 1}))
    assert parse_event(line) == MetadataNoted(about="step", values={"a": 1})
    assert parse_event(line.replace(b'"event":"metadata"', b'"event":"of tomorrow"')) is None


def test_noting_loads_no_network_into_a_steps_process(pytestconfig):
    code = "import sys; from zenweb import get_step_context, log_metadata; print('httpx' in sys.modules)"
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


def test_a_step_without_a_connection_is_told_how_a_worker_gives_it_one(step, tmp_path, monkeypatch):
    for name in ("ZENWEB_SERVER_URL", "ZENWEB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZENWEB_CONFIG_DIR", str(tmp_path))
    with pytest.raises(NotConnected, match="Start the worker with ZENWEB_STEP_SERVER_URL"):
        Client()
