"""The samples of docs/authoring.md are frozen as they stand there, and say what the page says of them."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from tests.markdown import blocks_of
from zenweb.config.config_schema import build_config_schema
from zenweb.config.spec import PipelineSpec
from zenweb.pipelines import Pipeline

PAGE = Path(__file__).parents[2] / "docs" / "authoring.md"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModuleType]:
    """By the section that they stand in, each a module of its own."""
    folder = tmp_path_factory.mktemp("samples")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        found = {}
        for number, block in enumerate(blocks_of(PAGE.read_text())):
            (folder / f"authoring_{number}.py").write_text(block.code)
            found[block.section] = importlib.import_module(f"authoring_{number}")
        return found


def frozen(pipeline: Pipeline[..., None], **parameters: object) -> PipelineSpec:
    return pipeline.compile(**parameters)


def names(spec: PipelineSpec) -> list[str]:
    return [step.name for step in spec.steps]


def test_what_has_no_value_is_left_to_the_run(samples: dict[str, ModuleType]) -> None:
    load, train, report = frozen(samples[""].training).steps
    assert load.parameters_schema["required"] == ["path"]
    assert train.parameters == {"learning_rate": 0.1, "kind": "rf"}
    assert [output.name for output in train.outputs] == ["score", "model"]
    assert report.inputs["score"].step == "train"


def test_every_type_of_the_page_has_a_schema_and_its_help(samples: dict[str, ModuleType]) -> None:
    module = samples["Parameters"]
    whole = Pipeline(_fits_with(module), {})
    module.whole = whole
    [fit] = frozen(whole).steps
    assert fit.parameters_schema["required"] == ["training"]
    assert fit.parameters == {"colour": "red", "since": "2026-01-01", "rows": [0, 100], "token": None}
    assert fit.parameters_schema["properties"]["since"]["description"] == "Older rows are left out."
    assert fit.description == "Fit a model."


def test_the_pipelines_own_parameters_make_its_steps(samples: dict[str, ModuleType]) -> None:
    pipeline = samples["The pipeline's own parameters"].many_models
    small = frozen(pipeline, n_models=1, with_report=False)
    assert names(small) == ["train_one"]
    whole = frozen(pipeline, n_models=2)
    assert names(whole) == ["train_one", "train_one_2", "summarise"]
    assert whole.steps[-1].upstream == ["train_one", "train_one_2"]
    own = build_config_schema(whole)["properties"]["parameters"]["properties"]
    assert own["n_models"] == {
        "title": "N models",
        "description": "How many.",
        "type": "integer",
        "default": 2,
    }


def test_uses_of_a_step_and_its_copies_have_their_options(samples: dict[str, ModuleType]) -> None:
    module = samples["Options and copies"]
    spec = frozen(module.learning)
    steps = {step.name: step for step in spec.steps}
    assert list(steps) == ["learn", "learn_2", "last", "careful"]
    assert steps["last"].upstream == ["learn", "learn_2"]
    assert steps["careful"].parameters == {"learning_rate": 0.01}
    assert (steps["careful"].settings.enable_cache, steps["learn"].settings.priority) == (False, 3)
    assert spec.tags == ["nightly"]


def _fits_with(module: ModuleType):
    def whole() -> None:
        module.fit()

    whole.__module__, whole.__qualname__ = module.__name__, "whole"
    return whole
