"""A pipeline function becomes a spec, or a sentence that says why it cannot."""

import io
from typing import Annotated
from uuid import UUID

import pytest
from pydantic import Field, Secret, SecretStr

from zenweb import pipeline, step
from zenweb.artifacts.references import ArtifactReference
from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.config.requirements import requirements_of
from zenweb.config.spec import InputSpec, PipelineSpec
from zenweb.exceptions import AuthoringError, ValidationFailed

KEPT = UUID(int=7)


@step
def load(path: str) -> tuple[Annotated[list, "rows"], Annotated[int, "count"]]:
    """Read the rows.

    All of them.
    """
    return [path], 1


@step
def train(rows: list, learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1, trees: int = 10) -> float:
    return learning_rate


@step
def report(score: float) -> None: ...


@step(extra={"team": "x"})
def notify() -> None: ...


@step
def clean_up() -> None: ...


@step
def read_stream(stream: io.BytesIO) -> int:
    return 1


@step
def show(artifact: UnmaterializedArtifact) -> None: ...


@step
def unlock(pins: list[Secret[int]]) -> None: ...


@step
def ask(question: str, token: SecretStr) -> str:
    return question


def told() -> None: ...


def told_why(error: BaseException) -> None: ...


def told_too_much(error: BaseException, channel: str) -> None: ...


@pipeline(tags=["demo"], enable_cache=False)
def training(path: str = "data.csv", trees: int = 3):
    """Train on a file."""
    rows, _ = load(path)
    score = train(rows, trees=trees)
    report(score)


def test_steps_inputs_and_frozen_values_are_noted():
    spec = training.compile()
    loader, trainer, reporter = spec.steps
    assert loader.parameters == {"path": "data.csv"}
    assert loader.description == "Read the rows."
    assert trainer.inputs == {"rows": InputSpec(step="load", output="rows")}
    assert trainer.parameters == {"learning_rate": 0.1, "trees": 3}
    assert reporter.upstream == ["train"]


def test_the_pipeline_itself_is_noted():
    spec = training.compile()
    assert (spec.name, spec.source, spec.description) == (
        "training",
        "tests.sdk.test_compiler.training",
        "Train on a file.",
    )
    assert (spec.parameters, spec.tags, spec.enable_cache) == (
        {"path": "data.csv", "trees": 3},
        ["demo"],
        False,
    )


def test_compiling_twice_gives_the_same_and_survives_json():
    spec = training.compile()
    assert spec == training.compile()
    assert PipelineSpec.model_validate_json(spec.model_dump_json()) == spec


def test_outputs_are_named_by_annotation_or_by_pipeline_and_step():
    loader, trainer, reporter = training.compile().steps
    assert [(o.name, o.artifact_name, o.type) for o in loader.outputs] == [
        ("rows", "rows", "builtins.list"),
        ("count", "count", "builtins.int"),
    ]
    assert [(o.name, o.artifact_name) for o in trainer.outputs] == [("output", "training::train::output")]
    assert reporter.outputs == []


@pytest.mark.parametrize(
    "given",
    [
        lambda: training.compile("other.csv"),
        lambda: training.compile(path="other.csv"),
        lambda: training.with_options(parameters={"path": "other.csv"}).compile(),
        lambda: training.with_options().prepare(path="other.csv").compile(),
    ],
)
def test_pipeline_parameters_are_given_in_several_ways(given):
    spec = given()
    assert spec.parameters == {"path": "other.csv", "trees": 3}
    assert spec.steps[0].parameters == {"path": "other.csv"}


def test_preparing_changes_this_pipeline_and_not_a_copy_made_before():
    copy = training.with_options()
    copy.prepare("other.csv")
    assert training.compile().parameters["path"] == "data.csv"
    assert copy.with_options(name="nightly").compile().parameters["path"] == "other.csv"


@pipeline
def many_uses():
    train([1])
    train([2])
    train.with_options(name="train_4")([3])
    train([4])
    train([5], id="last")


def test_several_uses_of_a_step_get_names_of_their_own():
    assert [s.name for s in many_uses.compile().steps] == ["train", "train_2", "train_4", "train_3", "last"]


@pipeline
def child(path: str):
    return load(path)


@pipeline
def parent():
    rows, _ = child("inner.csv")
    train(rows)


def test_a_pipeline_inside_of_another_becomes_part_of_it():
    assert [(s.name, s.upstream) for s in parent.compile().steps] == [("load", []), ("train", ["load"])]


@pipeline
def ordered_by_after():
    first = report(1.0)
    clean_up(after=["train", first, load])
    train([1])


@pipeline
def with_load_first():
    load("x")
    ordered_by_after.entrypoint()


def test_after_takes_names_results_and_steps_and_decides_the_order():
    steps = with_load_first.compile().steps
    assert [s.name for s in steps] == ["load", "report", "train", "clean_up"]
    assert steps[-1].upstream == ["load", "report", "train"]


def test_options_of_the_step_and_of_the_pipeline_become_settings():
    slow = load.with_options(
        retry={"max_retries": 3, "delay": 2}, timeout=1.5, queue="gpu", priority=7, process="spawn"
    )
    settings = compiled(lambda: slow("x"), retry={"max_retries": 1}).steps[0].settings
    assert settings.retry.max_retries == 3
    assert (settings.timeout, settings.queue, settings.priority) == (1.5, "gpu", 7)
    assert settings.process == "spawn"
    assert compiled(lambda: load("x"), retry={"max_retries": 1}).steps[0].settings.retry.max_retries == 1


def test_hooks_are_frozen_by_their_names_and_the_nearest_counts():
    hooked = load.with_options(on_failure=told_why)
    settings = compiled(lambda: hooked("x"), on_failure=told, on_success="alerts.cheer").steps[0].settings
    assert settings.failure_hook_source == f"{__name__}.told_why"
    assert settings.success_hook_source == "alerts.cheer"
    steps = {"load": {"failure_hook_source": {"module": "alerts", "attribute": "page", "type": "user"}}}
    settings = compiled(lambda: hooked("x"), steps=steps).steps[0].settings
    assert settings.failure_hook_source == "alerts.page"


def test_an_option_that_nothing_acts_on_yet_is_told(caplog):
    compiled(notify)
    assert caplog.messages == ["Step 'notify', extra: accepted, no effect"]


def test_required_parameters_may_be_left_to_the_run():
    [asking] = compiled(ask).steps
    assert asking.parameters == {}
    assert asking.parameters_schema["required"] == ["question", "token"]


def test_options_configure_steps_over_what_the_function_says():
    steps = {"train": {"parameters": {"trees": 99}, "enable_cache": True, "retry": {"max_retries": 1}}}
    trainer = training.with_options(steps=steps).compile().steps[1]
    assert trainer.parameters["trees"] == 99
    assert trainer.parameters_schema["properties"]["trees"]["default"] == 99
    assert trainer.settings.enable_cache is True


def test_a_configuration_file_is_used_where_the_code_says_nothing(tmp_path, caplog):
    path = tmp_path / "run.yaml"
    path.write_text(
        "parameters: {path: file.csv, trees: 5}\ntags: [file]\nretry: {max_retries: 4}\nmodel: {name: x}\n"
        "steps: {train: {queue: gpu, parameters: {learning_rate: 1, trees: 8}}}\n"
    )
    steps = {"train": {"parameters": {"trees": 9}}}
    spec = training.with_options(config_path=path, parameters={"trees": 7}, steps=steps).compile()
    trainer = spec.steps[1]
    assert (spec.parameters, spec.tags) == ({"path": "file.csv", "trees": 7}, ["demo"])
    assert trainer.parameters == {"learning_rate": 1, "trees": 9}
    assert (trainer.settings.queue, trainer.settings.retry.max_retries) == ("gpu", 4)
    assert caplog.messages == ["/model: accepted, no effect"]


def test_of_dockers_settings_in_a_file_the_requirements_have_an_effect_and_the_others_are_named(
    tmp_path, caplog
):
    path = tmp_path / "run.yaml"
    path.write_text(
        "settings: {docker: {requirements: [polars], apt_packages: [git]}}\nsteps: {load: {settings: {docker: {}}}}\n"
    )
    spec = training.with_options(config_path=path, parameters={"path": "x"}).compile()
    assert requirements_of({}, spec.settings, tmp_path) == ["polars"]
    assert caplog.messages == [
        "/steps/load/settings/docker: accepted, no effect",
        "/settings/docker/apt_packages: accepted, no effect",
    ]


current = {}


@pipeline
def written_in_the_test():
    current["function"]()


def compiled(function, **options):
    current["function"] = function
    return written_in_the_test.with_options(**options).compile()


def nested_outputs():
    train([load("x")[0]])


def nothing_handed_on():
    report(report(1.0))


def circle():
    report(1.0, after="clean_up")
    clean_up(after="report")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            read_stream,
            r"Step 'read_stream', parameter 'stream': the type _io.BytesIO has no JSON form",
        ),
        (show, r"Step 'show', parameter 'artifact': it takes an artifact. Connect it"),
        (lambda: load(b"\xff"), r"Step 'load', parameter 'path': .* does not fit its type"),
        (
            lambda: train([], learning_rate=2),
            r"Step 'train', parameter 'learning_rate': 2 .* less than or equal to 1",
        ),
        (lambda: train([object()]), r"Step 'train', parameter 'rows': .* cannot be written as JSON"),
        (lambda: train([float("nan")]), r"Step 'train', parameter 'rows': .* cannot be written as JSON"),
        (
            lambda: train([], learning_rat=1),
            r"Step 'train' has no parameter 'learning_rat'. Did you mean 'learning_rate'",
        ),
        (lambda: load("a", "b"), r"Step 'load': too many positional arguments"),
        (
            lambda: ask("?", token=SecretStr("x")),
            r"Step 'ask', parameter 'token': a secret would be stored in clear",
        ),
        (
            unlock,
            r"Step 'unlock', parameter 'pins': a value of the type Secret\[\.\.\.\] would be stored and shown",
        ),
        (nested_outputs, r"parameter 'rows': outputs of steps cannot be collected in a list"),
        (nothing_handed_on, r"parameter 'score': step 'report' returns nothing"),
        (circle, r"circle: (report → clean_up → report|clean_up → report → clean_up)\."),
        (lambda: clean_up(after="lode"), r"there is no step 'lode' to come after"),
        (lambda: clean_up(after=load), r"Step 'load' is not used in this pipeline before"),
        (lambda: (load("x", id="a"), load("x", id="a")), r"already a step 'a'"),
        (lambda: load("x", id="a.b"), r"a name has letters"),
        (lambda: load.with_options(timeout=-1)("x"), r"Step 'load': timeout: Input should be greater than 0"),
        (lambda: load.with_options(process="thread")("x"), r"process: Input should be 'fork' or 'spawn'"),
        (
            lambda: load.with_options(extra={"team": "y"})("x"),
            r"extra cannot be given inside of the pipeline",
        ),
        (
            lambda: load.with_options(on_failure=lambda: None)("x"),
            r"Step 'load', on_failure: '<lambda>' cannot be imported by the step's process: define it with `def`",
        ),
        (lambda: load.with_options(on_success="told")("x"), r"on_success: This names no hook: name it as"),
        (
            lambda: load.with_options(on_success=told_why)("x"),
            r"Step 'load': on_success takes a function of no argument; 'told_why' wants others",
        ),
        (
            lambda: load.with_options(on_failure=told_too_much)("x"),
            r"on_failure takes a function of no argument or one, the exception",
        ),
        (load.with_options(parameters={"pth": 1}), r"has no parameter 'pth'"),
    ],
)
def test_what_cannot_be_frozen_is_refused_naming_step_and_parameter(function, message):
    with pytest.raises(AuthoringError, match=message):
        compiled(function)


@step
def twice_the_same() -> tuple[Annotated[int, "x"], Annotated[int, "x"]]:
    return 1, 2


@step
def star(*values: int) -> None: ...


@step
def wrong_default(size: Annotated[int, Field(ge=1)] = 0) -> None: ...


@pytest.mark.parametrize(
    ("unfit", "message"),
    [
        (twice_the_same, r"Step 'twice_the_same' has two outputs named 'x'"),
        (star, r"star\(\): '\*values: int' cannot be asked for by its name"),
        (wrong_default, r"'size': 0 does not fit its type: Input should be greater than or equal to 1"),
    ],
)
def test_a_signature_that_cannot_be_frozen_is_refused(unfit, message):
    with pytest.raises(AuthoringError, match=message):
        compiled(unfit)


@pipeline
def needs_a_path(path: str):
    load(path)


def test_a_pipeline_parameter_without_a_value_says_how_to_give_one():
    with pytest.raises(AuthoringError, match=r"needs a value for path .*with_options\(parameters=\{'path': "):
        needs_a_path.compile()


@pytest.mark.parametrize("call", [lambda: training.compile(pth="x"), lambda: training(pth="x")])
def test_an_unknown_pipeline_parameter_is_refused(call):
    with pytest.raises(
        AuthoringError, match=r"Pipeline 'training' has no parameter 'pth'. Did you mean 'path'"
    ):
        call()


def test_configuring_what_is_not_there_is_refused():
    with pytest.raises(AuthoringError, match=r"no step 'trian' to configure. Did you mean 'train'"):
        training.with_options(steps={"trian": {}}).compile()
    with pytest.raises(AuthoringError, match="'rows': it gets an output of 'load'"):
        training.with_options(steps={"train": {"parameters": {"rows": []}}}).compile()
    with pytest.raises(ValidationFailed, match="/steps/train/parametres"):
        training.with_options(steps={"train": {"parametres": {}}}).compile()


def test_a_step_or_pipeline_inside_of_a_function_cannot_be_imported():
    @step
    def local_step() -> None: ...

    @pipeline
    def local_pipeline(): ...

    with pytest.raises(AuthoringError, match="'local_step' is not at the top level of its module"):
        compiled(local_step)
    with pytest.raises(AuthoringError, match="'local_pipeline' is not at the top level"):
        local_pipeline.compile()


def test_resources_name_the_queue_and_say_what_is_not_enforced(caplog):
    needs = {"resources": {"queue": "gpu", "gpu_count": 1, "memory": "16GB"}, "docker": {}}
    settings = compiled(lambda: load.with_options(settings=needs)("x")).steps[0].settings
    assert (settings.queue, settings.resources.gpu_count, settings.resources.memory) == ("gpu", 1, "16GB")
    assert caplog.messages == [
        "Step 'load', settings.docker: accepted, no effect",
        *(
            f"Step 'load', settings.resources.{need}: kept with the run; "
            "what a step gets is decided by its queue's workers"
            for need in ("gpu_count", "memory")
        ),
    ]


def test_a_gpu_without_a_queue_is_warned_of(caplog):
    compiled(lambda: load.with_options(settings={"resources": {"gpu_count": 1}})("x"))
    [message] = caplog.messages
    assert message.startswith("Step 'load', settings.resources.gpu_count: no queue is named")


@pytest.mark.parametrize("resources", [{"gpu_count": "one"}, {"gpus": 1}, {"memory": "16"}, "gpu"])
def test_resources_that_make_no_sense_are_refused(resources):
    with pytest.raises(AuthoringError, match="load"):
        compiled(lambda: load.with_options(settings={"resources": resources})("x"))


@pipeline
def scoring():
    report(ArtifactReference(KEPT))
    show(artifact=ArtifactReference(str(KEPT)))


def test_a_stored_artifact_fills_a_parameter_that_nobody_is_asked_for():
    first, second = scoring.compile().steps
    assert (first.artifacts, second.artifacts) == ({"score": KEPT}, {"artifact": KEPT})
    assert first.parameters_schema["properties"] == {}
    assert PipelineSpec.model_validate_json(scoring.compile().model_dump_json()).steps[0] == first
