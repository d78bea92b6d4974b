"""`step.map`, `when=` and `unless=` in a pipeline function: what they freeze to, and what they refuse."""

import math
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest

from zenweb import pipeline, step, unmapped
from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.config.config_schema import build_config_schema
from zenweb.config.spec import Condition, InputSpec, PipelineSpec
from zenweb.exceptions import AuthoringError


class Colour(StrEnum):
    RED = "red"


@step
def regions() -> list[str]:
    return ["north", "south"]


@step
def train(region: str, rate: float = 0.1) -> float:
    return len(region) * rate


@step
def both(region: str) -> tuple[str, int]:
    return region, 1


@step
def collect(scores: list[float]) -> None: ...


@step
def is_good() -> bool:
    return True


@step
def kind() -> Literal["svm", "rf"]:
    return "rf"


@step
def size() -> Literal[1, 2]:
    return 1


@step
def count() -> int:
    return 3


@step
def colour() -> Colour:
    return Colour.RED


@step
def deploy(score: float = 1.0) -> None: ...


@step
def look(item: UnmaterializedArtifact) -> None: ...


def compiled(put_together: Callable[[], Any]) -> PipelineSpec:
    def mapped_pipeline() -> None:
        put_together()

    mapped_pipeline.__qualname__ = "at_top_level"
    with pytest.MonkeyPatch.context() as module:
        made = pipeline(mapped_pipeline)
        module.setattr(sys.modules[__name__], "at_top_level", made, raising=False)
        return made.compile()


def test_what_a_step_returns_is_mapped_over_and_plain_values_are_not() -> None:
    spec = compiled(lambda: collect(train.map(region=regions(), rate=0.5)))
    mapped, collector = spec.steps[1:]
    assert mapped.is_mapped
    assert not collector.is_mapped
    assert mapped.inputs == {"region": InputSpec(step="regions", output="output", is_mapped=True)}
    assert mapped.parameters == {"rate": 0.5}
    assert collector.inputs == {"scores": InputSpec(step="train", output="output")}


def test_what_is_unmapped_comes_whole() -> None:
    spec = compiled(lambda: train.map(region=regions(), rate=unmapped(is_good())))
    assert not spec.steps[-1].inputs["rate"].is_mapped


def test_a_list_that_is_written_down_becomes_a_list_that_a_run_may_change() -> None:
    spec = compiled(lambda: train.map(region=["a", "b"]))
    assert spec.steps[0].mapped_parameters == ["region"]
    assert spec.steps[0].parameters["region"] == ["a", "b"]
    asked = build_config_schema(spec)["properties"]["steps"]["properties"]["train"]["properties"][
        "parameters"
    ]
    assert asked["properties"]["region"]["type"] == "array"
    assert asked["properties"]["region"]["items"] == {"type": "string"}


def test_each_of_several_outputs_of_a_mapped_step_is_a_list() -> None:
    def put_together() -> None:
        names, _ = both.map(region=regions())
        train.map(region=names)

    assert compiled(put_together).steps[-1].inputs["region"].output == "output_0"


def test_outside_of_a_pipeline_it_maps_the_plain_function() -> None:
    assert train.map(region=["a", "bb"], rate=2.0) == [2.0, 4.0]
    assert both.map(["a", "b"]) == (["a", "b"], [1, 1])


@pytest.mark.parametrize(
    ("put_together", "sentence"),
    [
        (lambda: train.map(region="north"), "Step 'train' is mapped over nothing"),
        (lambda: (train.map(region=regions()), deploy(id="train-3")), "give step 'train-3' another `id`"),
        (lambda: look.map(item=regions()), "an element of a list comes as its value"),
        (lambda: [train(region) for region in regions()], r"say train.map\(parameter=output\)"),
        (lambda: deploy() if is_good() else None, r"deploy\(model, when=output\)"),
        (lambda: deploy() if kind() == "rf" else None, r"when=\(output, value\)"),
        (lambda: deploy(when=True), "decided with a plain `if`"),
        (lambda: deploy(when=kind()), r"does not return a bool. Say which value is meant"),
        (lambda: deploy(when=(kind(), "svn")), "never returns 'svn'. Did you mean 'svm'"),
        (lambda: deploy(when=train.map(region=regions())), "is mapped, so it returns many values"),
        (lambda: deploy(when=(size(), True)), "step 'size' never returns True"),
        (lambda: deploy(when=(count(), "yes")), "step 'count' never returns 'yes'"),
        (lambda: deploy(when=(count(), 1.5)), "step 'count' never returns 1.5"),
        (lambda: deploy(when=(train("a"), math.nan)), "nan cannot be compared with"),
        (lambda: deploy(when=both("a")), "Of a step that returns several, take one"),
        (lambda: deploy(unless=(both("a"), True)), "Of a step that returns several, take one"),
        (lambda: train.map(region=["a", "b"], rate=[0.1]), "not equally long: rate has 1, region has 2"),
        (lambda: train.map(region=count()), "step 'count' returns int, and only lists"),
        (lambda: train.map(region=kind()), "only lists and tuples are mapped over"),
        (lambda: train(region=f"{count()!r} of them"), "its text names an output that has no value yet"),
        (lambda: train(region=repr(count())), "its text names an output that has no value yet"),
        (lambda: train(region=f"{count()!r}-{kind()!r}"), "its text names an output that has no value yet"),
        (
            lambda: train(region=[{"a": Path(f"{count()!r}")}]),
            "its text names an output that has no value yet",
        ),
        (lambda: train(region={f"{count()!r}": 1}), "its text names an output that has no value yet"),
        (lambda: deploy(when=(kind(), f"{count()!r}")), "has no value yet. Let a step compare both"),
        (lambda: deploy(when=(train("a"), repr(count()))), "has no value yet. Let a step compare both"),
    ],
)
def test_what_cannot_be_frozen_is_refused_with_what_to_do(put_together: Any, sentence: str) -> None:
    with pytest.raises(AuthoringError, match=sentence):
        compiled(put_together)


@pytest.mark.parametrize(
    ("wish", "condition"),
    [
        (lambda: {"when": is_good()}, Condition(step="is_good", output="output")),
        (lambda: {"unless": is_good()}, Condition(step="is_good", output="output", is_negated=True)),
        (lambda: {"when": (kind(), "rf")}, Condition(step="kind", output="output", value="rf")),
        (lambda: {"when": (count(), 3.0)}, Condition(step="count", output="output", value=3.0)),
        (lambda: {"when": (colour(), Colour.RED)}, Condition(step="colour", output="output", value="red")),
    ],
)
def test_a_condition_is_an_earlier_output_with_a_value(wish: Any, condition: Condition) -> None:
    spec = compiled(lambda: deploy(**wish()))
    assert spec.steps[-1].conditions == [condition]
    assert spec.steps[-1].upstream == [condition.step]


def test_an_input_with_a_default_is_optional() -> None:
    spec = compiled(lambda: (deploy(is_good()), collect(regions())))
    optional = {each.name: [source.is_optional for source in each.inputs.values()] for each in spec.steps}
    assert optional == {"is_good": [], "regions": [], "deploy": [True], "collect": [False]}
