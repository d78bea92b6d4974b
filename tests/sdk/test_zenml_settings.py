"""ZenML's classes for settings say the same as the dicts that ZenWeb takes."""

from zenweb import pipeline, step
from zenweb.config import DockerSettings, ResourceSettings
from zenweb.config.requirements import requirements_of


@step(settings={"resources": ResourceSettings(cpu_count=2, memory="16GB", queue="big")})
def train() -> int:
    return 1


@pipeline(settings={"docker": DockerSettings(requirements=["polars>=1"], parent_image="mine")})
def training():
    train()


def test_what_a_step_needs_is_frozen():
    [frozen] = training.compile().steps
    assert frozen.settings.queue == "big"
    assert frozen.settings.resources.model_dump(exclude_none=True) == {"cpu_count": 2.0, "memory": "16GB"}


def test_the_requirements_are_the_pipelines(tmp_path):
    assert requirements_of(training.options, training.compile().settings, tmp_path) == ["polars>=1"]
