"""`zenweb run-template run NAME --trainer.learning-rate 0.1`: a flag for each parameter."""

import json
from typing import Any

import pytest

from runs_app.models import ArtifactVersion, PipelineRun
from templates_app.models import RunTemplate
from templates_app.services import curate_run_template
from tests.composing import compiled, own
from tests.factories import freeze, make_template
from zenweb.cli.template_command import bounds_of
from zenweb.cli.template_flags import flags_of
from zenweb.cli.value_types import ValueType

RUN = ("run-template", "run", "typed", "--trainer.name", "x")


@pytest.fixture
def typed(stacks, alice) -> RunTemplate:
    return make_template(freeze("typed.typed_pipeline", alice, stacks["celery"]), alice, "typed")


def parameters() -> dict[str, Any]:
    return PipelineRun.objects.get().parameters["trainer"]


@pytest.mark.parametrize(
    ("typing", "expected"),
    [
        (["--trainer.learning-rate", "1e-2"], {"learning_rate": 0.01}),
        (["--trainer.learning_rate=0.5"], {"learning_rate": 0.5}),
        (["--steps.trainer.parameters.learning_rate", "0.5"], {"learning_rate": 0.5}),
        (["--trainer.epochs", "12345678901234567890"], {"epochs": 12345678901234567890}),
        (["--trainer.epochs", "null"], {"epochs": None}),
        (["--trainer.epochs", "1e23"], {"epochs": 10**23}),
        (["--trainer.epochs", "9007199254740993.0"], {"epochs": 9007199254740993}),
        (["--trainer.kind", "rf"], {"kind": "rf"}),
        (["--trainer.size", "Large"], {"size": 9}),
        (["--trainer.size", "9"], {"size": 9}),
        (["--no-trainer.shuffle"], {"shuffle": False}),
        (["--trainer.shuffle=false"], {"shuffle": False}),
        (["--trainer.balance=null"], {"balance": None}),
        (["--no-trainer.balance"], {"balance": False}),
        (["--trainer.labels", "5", "--trainer.labels", "b"], {"labels": ["5", "b"]}),
        (["--trainer.labels", "[]"], {"labels": []}),
        (["--trainer.layers", "8", "--trainer.layers", "16"], {"layers": [8, 16]}),
        (["--trainer.layers", "[8, 16]"], {"layers": [8, 16]}),
        (
            ["--trainer.optimizer.lr", "0.1"],
            {"optimizer": {"lr": 0.1, "momentum": 0.9, "warm_up": False}},
        ),
        (
            ["--trainer.optimizer.warm-up", "--trainer.optimizer", '{"lr": 2}'],
            {"optimizer": {"lr": 2, "warm_up": True}},
        ),
        (["--trainer.weights", "a=1", "--trainer.weights", "b=2.5"], {"weights": {"a": 1, "b": 2.5}}),
        (["--trainer.since", "2026-05-31"], {"since": "2026-05-31"}),
        (["--trainer.price", "1.10"], {"price": "1.10"}),
        (["--trainer.either", "5"], {"either": 5}),
        (["--trainer.either", '"5"'], {"either": "5"}),
        (["--trainer.either", "true"], {"either": "true"}),
        (["--trainer.data", "/shared/x.csv"], {"data": "/shared/x.csv"}),
        (["--trainer.name", "null"], {"name": "null"}),
    ],
)
def test_what_is_typed_becomes_the_value_that_its_type_means(alices, typed, typing, expected):
    result = alices(*RUN, *typing)
    assert result.exit_code == 0, result.output
    found = {name: parameters()[name] for name in expected}
    assert (found, [type(value) for value in found.values()]) == (
        expected,
        [type(value) for value in expected.values()],
    )


def test_a_step_whose_name_has_blanks_is_written_with_hyphens(alices, typed):
    assert alices(*RUN, "--final-report.title", "Done: 5").exit_code == 0
    assert PipelineRun.objects.get().parameters["final report"] == {"title": "Done: 5"}


def test_everything_that_is_wrong_is_told_at_its_flag(alices, typed):
    wrong = ["--trainer.learning-rate", "2", "--trainer.kind", "tree", "--trainer.layers", "[1, false]"]
    result = alices("run-template", "run", "typed", *wrong, "--trainer.optimizer.lr", "-1")
    assert (result.exit_code, PipelineRun.objects.count()) == (2, 0)
    assert {line.strip().partition(":")[0] for line in result.stderr.splitlines()[1:]} == {
        "--trainer.name",
        "--trainer.learning-rate",
        "--trainer.kind",
        "--trainer.layers[1]",
        "--trainer.optimizer.lr",
    }


def test_what_a_file_says_is_told_at_its_place_in_the_file(alices, typed, tmp_path):
    (tmp_path / "run.yaml").write_text("steps: {trainer: {parameters: {learning_rate: 2}}}")
    result = alices("run-template", "run", "typed", "--config", str(tmp_path / "run.yaml"))
    assert "  /steps/trainer/parameters/learning_rate: This must be at most 1." in result.stderr
    assert "  --trainer.name: " in result.stderr


def test_flags_go_over_a_file(alices, typed, tmp_path):
    (tmp_path / "run.yaml").write_text(
        "steps: {trainer: {parameters: {epochs: 5, optimizer: {lr: 0.2, momentum: 0.3}}}}"
    )
    alices(*RUN, "--config", str(tmp_path / "run.yaml"), "--trainer.optimizer.lr", "0.4")
    assert (parameters()["epochs"], parameters()["optimizer"]["momentum"]) == (5, 0.3)


def test_a_part_of_a_value_goes_over_that_of_the_preset(alices, typed, rest):
    values = {"steps": {"trainer": {"parameters": {"name": "y", "optimizer": {"lr": 0.2, "momentum": 0.3}}}}}
    rest.post(
        "/api/v1/run_templates/typed/presets",
        {"name": "mild", "configuration": values},
        content_type="application/json",
    )
    result = alices("run-template", "run", "typed", "--preset", "mild", "--trainer.optimizer.lr", "0.4")
    assert result.exit_code == 0, result.output
    assert parameters()["optimizer"] == {"lr": 0.4, "momentum": 0.3}


@pytest.mark.parametrize(
    ("typing", "words"),
    [
        ("--trainer.learnin-rate", "Did you mean --trainer.learning-rate?"),
        ("--learning-rate", "Did you mean --trainer.learning-rate?"),
        ("--wiat", "Did you mean --wait?"),
        ("--zzz", "See what there is: main run-template run typed --help"),
        ("--trainer.login", "It holds a secret: give its parts"),
    ],
)
def test_a_flag_that_does_not_exist_says_which_is_meant(alices, typed, typing, words):
    result = alices(*RUN, typing, "1")
    assert (result.exit_code, PipelineRun.objects.count()) == (2, 0)
    assert words in result.stderr


@pytest.mark.parametrize(
    ("typing", "words"),
    [
        (
            ["--trainer.shuffle=perhaps"],
            "--trainer.shuffle is yes or no, and not 'perhaps': write --trainer.shuffle, ",
        ),
        (
            ["--trainer.shuffle", "perhaps"],
            "--trainer.shuffle takes no word after it: write --trainer.shuffle, ",
        ),
        (["--trainer.shuffle=null"], "--trainer.shuffle=true or --trainer.shuffle=false."),
        (["--trainer.balance=no"], "--trainer.balance=false or --trainer.balance=null."),
        (["--trainer.api-key=x"], "or comes from the environment with --set-env trainer.api-key=VARIABLE."),
    ],
)
def test_a_flag_that_takes_no_value_says_what_it_takes_and_how_to_see_the_others(
    alices, typed, typing, words
):
    result = alices(*RUN, *typing)
    assert (result.exit_code, PipelineRun.objects.count()) == (2, 0)
    assert words in result.stderr
    assert "\nTry 'main run-template run typed --help' for help." in result.stderr


def test_a_wrong_option_of_the_command_shows_how_the_template_is_run(alices, typed):
    result = alices("run-template", "run", "typed", "--timeout", "soon")
    assert result.stderr.startswith(
        "Usage: main run-template run typed [OPTIONS] [--STEP.PARAMETER VALUE]..."
    )


def test_a_flag_before_the_name_is_told_where_it_belongs(alices, typed):
    result = alices("run-template", "run", "--trainer.name", "x", "typed")
    assert (result.exit_code, "The name of the template comes first" in result.stderr) == (2, True)


def test_a_secret_is_asked_for_and_never_typed(alices, typed):
    result = alices(*RUN, "--trainer.api-key", input="hidden-word\n")
    assert result.exit_code == 0, result.output
    assert "hidden-word" not in result.output
    assert PipelineRun.objects.count() == 1
    refused = alices(*RUN, "--trainer.api-key=hidden-word")
    assert (refused.exit_code, PipelineRun.objects.count()) == (2, 1)


def test_a_secret_that_nobody_can_be_asked_for_says_another_way(alices, typed):
    result = alices(*RUN, "--trainer.api-key", input="")
    assert (result.exit_code, PipelineRun.objects.count()) == (2, 0)
    assert "Give it with --set-env trainer.api-key=VARIABLE." in result.stderr


def test_a_secret_comes_from_the_environment_by_its_flag(alices, typed, monkeypatch):
    monkeypatch.setenv("KEY", "hidden-word")
    result = alices(*RUN, "--set-env", "trainer.api-key=KEY")
    assert result.exit_code == 0, result.output
    assert PipelineRun.objects.count() == 1


def test_a_file_of_this_machine_is_uploaded(alices, typed, tmp_path):
    (tmp_path / "orders.csv").write_text("a\n1\n")
    assert alices(*RUN, "--trainer.data", f"@{tmp_path / 'orders.csv'}").exit_code == 0
    version = ArtifactVersion.objects.get()
    assert parameters()["data"] == {"artifact_version": str(version.pk)}
    assert alices(*RUN, "--trainer.data", str(version.pk)).exit_code == 0


def test_help_shows_the_parameters_by_step(alices, typed):
    told = alices("run-template", "run", "typed", "--help").stdout
    steps, _, rest = told.partition("Step final report:")
    assert "Step trainer:" in steps
    assert "--trainer.learning-rate NUMBER" in steps
    assert "[--trainer.balance=null for neither; default: true]" in " ".join(steps.split())
    assert "How far each step goes.  [more than 0; at most 1; default: 0.1]" in " ".join(
        steps.split()
    ).replace(". [", ".  [")
    assert "--trainer.shuffle / --no-trainer.shuffle" in steps
    assert "--trainer.kind [svm|rf]" in steps
    assert "--final-report.title TEXT" in rest
    assert "--dry-run" in rest


@pytest.mark.parametrize(
    ("form", "rules", "words"),
    [
        ("duration", {"gt": "PT0S", "le": "PT1H"}, ["more than PT0S", "at most PT1H"]),
        ("date", {"ge": "2026-01-01", "now": "past"}, ["not before 2026-01-01"]),
    ],
)
def test_help_says_the_limits_of_moments_and_durations(form, rules, words):
    assert bounds_of(ValueType({"type": "string", "format": form, "zenweb-moment": rules}, {})) == words


def test_help_follows_the_form_that_the_owner_has_shaped(alices, typed, alice):
    curation = {
        "sections": [{"title": "How it learns", "parameters": ["trainer.learning_rate"]}],
        "parameters": {
            "trainer.learning_rate": {"label": "Speed", "maximum": 0.5},
            "trainer.epochs": {"locked": 7},
            "trainer.kind": {"hidden": True},
        },
    }
    curate_run_template(actor=alice, template=typed, curation=curation)
    told = alices("run-template", "run", "typed", "--help").stdout
    assert "How it learns:\n  --trainer.learning-rate NUMBER" in told
    assert "Speed." in told
    assert "at most 0.5" in told
    assert "--trainer.epochs" not in told
    assert "--trainer.kind" not in told
    assert alices(*RUN, "--trainer.kind", "rf").exit_code == 0
    refused = alices(*RUN, "--trainer.epochs", "8")
    assert "--trainer.epochs: The owner of this template has fixed this at 7." in refused.stderr


@pytest.fixture
def composed(stacks, alice) -> RunTemplate:
    return make_template(freeze("composed.composed_pipeline", alice, stacks["celery"]), alice, "composed")


def test_parameters_of_the_pipeline_itself_have_flags(alices, composed):
    typing = ("--n-models", "1", "--no-with-report", "--parameters.rate", "0.2", "--since=2026-05-31")
    result = alices("run-template", "run", "composed", *typing)
    assert result.exit_code == 0, result.output
    assert PipelineRun.objects.get().configuration["parameters"] == {
        "n_models": 1,
        "with_report": False,
        "rate": 0.2,
        "since": "2026-05-31",
    }
    refused = alices("run-template", "run", "composed", "--n-models", "51")
    assert "--n-models: This must be at most 50." in refused.stderr


def test_steps_that_other_parameters_make_have_flags_when_these_are_given(alices, composed, alice, hand):
    compiled(composed, alice, hand, own(n_models=3))
    typing = ("--n-models", "3", "--train-3.kind", "rf", "--dry-run", "--output=json")
    told = json.loads(alices("run-template", "run", "composed", *typing).stdout)
    assert told["configuration"]["steps"]["train_3"]["parameters"]["kind"] == "rf"
    told = alices("run-template", "run", "composed", "--n-models", "3", "--help").stdout
    assert "--train-3.kind" in told
    told = alices("run-template", "run", "composed", "--set", "n-models=3", "--train-3.kidn", "rf").stderr
    assert "There is no --train-3.kidn. Did you mean --train-3.kind?" in told


def test_they_are_called_by_their_paths_until_somebody_knows_them(alices, composed):
    told = alices("run-template", "run", "composed", "--n-models", "3", "--train-3.kind", "rf").stderr
    assert "There is no --train-3.kind" in told
    assert "No worker has served queue default" in told
    assert "--set steps.train_3.parameters.kind=VALUE" in told
    path = "steps.train_3.parameters.kind=rf"
    assert alices("run-template", "run", "composed", "--n-models", "3", "--set", path).exit_code == 0
    assert PipelineRun.objects.get().configuration["steps"]["train_3"]["parameters"].keys() == {"kind"}


def test_help_shows_them_first_and_as_the_owner_says(alices, composed, alice):
    curation = {"parameters": {"rate": {"hidden": True}, "n_models": {"label": "Models", "maximum": 5}}}
    curate_run_template(actor=alice, template=composed, curation=curation)
    told = alices("run-template", "run", "composed", "-h").stdout
    assert "[--PARAMETER VALUE]... [--STEP.PARAMETER VALUE]..." in " ".join(told.split())
    assert "The pipeline itself:\n  --n-models INTEGER" in told
    assert "Models. How many are trained." in " ".join(told.split())
    assert "--rate" not in told


def test_options_of_the_command_go_before_parameters_of_the_same_name():
    names = {"wait": {"type": "integer"}, "days": {"type": "integer"}}
    schema = {"properties": {"parameters": {"properties": names}, "steps": {"properties": {}}}}
    flags = flags_of(schema, own={"--wait", "--no-days"})
    assert [flag.name for flag in flags] == ["--parameters.wait", "--days"]


def test_steps_of_one_spelling_keep_their_own_names():
    step = {"properties": {"parameters": {"properties": {"rate": {"type": "number"}}}}}
    schema = {"properties": {"steps": {"properties": {"my step": step, "my_step": step}}}}
    assert [flag.names[0] for flag in flags_of(schema)] == ["--my-step.rate", "--my_step.rate"]


def test_a_model_of_itself_has_flags_as_deep_as_one_types():
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}, "key": {"type": "string"}}}
    step = {"properties": {"parameters": {"properties": {"tree": {"$ref": "#/$defs/Tree"}}}}}
    flags = flags_of({"$defs": {"Tree": tree}, "properties": {"steps": {"properties": {"grow": step}}}})
    assert "--grow.tree.left.left.key" in {flag.name for flag in flags}
    assert len(flags) == 11


def test_help_without_a_name_is_about_the_command(zenweb):
    told = zenweb("run-template", "run", "--help")
    assert (told.exit_code, "--dry-run" in told.stdout) == (0, True)


def test_without_flags_the_schema_is_not_asked_for(alices, typed, caplog):
    caplog.set_level("INFO", "httpx")
    alices("run-template", "run", "typed", "--set", "steps.trainer.parameters.name=x", "--dry-run")
    assert [record.message.split()[2] for record in caplog.records if record.name == "httpx"] == ["POST"]
