"""A filled form has an address that fills it again, and its values leave the page as text that starts the same run."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from hypothesis import HealthCheck, given, settings, strategies
from pytest_django.live_server_helper import LiveServer
from ruamel.yaml import YAML

from runs_app.copies import Copies, copies_of
from runs_app.links import link_query, read_link, read_text, write_text
from runs_app.models import PipelineRun
from runs_app.plans import plan_of, rules_by_id
from runs_app.presets import create_preset
from runs_app.run_configuration import validate
from templates_app.models import RunTemplate
from tests.factories import launch
from zenweb.accounts.models import User
from zenweb.config.run_configuration import parse_yaml
from zenweb.sealing import opened

RATE = "steps.trainer.parameters.learning_rate"
MODEL = "steps.trainer.parameters.model_type"
KEY = "steps.trainer.parameters.key"
AWKWARD = (
    "O'Neil said \"hi\"\n$HOME `id` ${{ secrets.X }} \\' \\\" %s {} \u2028 \x7f \t é 日本 🎈 #: - 'x'\n  "
)
HTMX = {"HX-Request": "true"}


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


@pytest.fixture
def asking(template: RunTemplate) -> RunTemplate:
    """The trainer takes whatever one may want to copy, and a secret."""
    give(template, "note", {"type": "string", "default": ""})
    give(template, "handle", {"type": "string", "default": ""})
    give(template, "maybe", {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None})
    give(template, "options", {"type": "object", "default": {}})
    give(template, "tags", {"type": "array", "items": {"type": "string"}, "default": []})
    give(template, "key", {"type": "string", "format": "password", "writeOnly": True})
    return template


def give(template: RunTemplate, name: str, schema: dict[str, Any], *, is_required: bool = False) -> None:
    deployment = template.version.deployment
    trainer = deployment.config_schema["properties"]["steps"]["properties"]["trainer"]["properties"][
        "parameters"
    ]
    trainer["properties"][name] = schema
    if is_required:
        trainer["required"] = [*trainer.get("required", []), name]
    deployment.save()
    plan_of.cache_clear()
    rules_by_id.cache_clear()  # in the product a deployment never changes


def give_source(template: RunTemplate) -> str:
    """A choice of two kinds, one of which has a secret; returns the name of its field."""
    secret = {"type": "string", "format": "password", "writeOnly": True}
    host = {"host": {"type": "string"}, "password": secret}
    kinds = [
        {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]},
        {"type": "object", "properties": host, "required": ["host", "password"]},
    ]
    give(template, "source", {"anyOf": kinds})
    return "steps.trainer.parameters.source"


def values(**parameters: Any) -> dict[str, Any]:
    return {"steps": {"trainer": {"parameters": parameters}}}


# -- links ------------------------------------------------------------------------------------------------------------


def test_a_link_fills_the_form(pages: Client, asking: RunTemplate) -> None:
    page = pages.get(
        asking.get_absolute_url(), {RATE: "0.75", MODEL: "rf", "steps.trainer.parameters.note": "5"}
    )
    assert f'name="{RATE}" value="0.75"' in page.text
    assert '<option value="rf" selected>' in page.text
    assert 'name="steps.trainer.parameters.note" value="5"' in page.text
    assert not PipelineRun.objects.exists()


def test_the_query_goes_over_the_preset(pages: Client, template: RunTemplate, bob: User) -> None:
    create_preset(
        actor=bob,
        template=template,
        name="nightly",
        configuration=values(learning_rate=0.25, model_type="rf"),
    )
    page = pages.get(template.get_absolute_url(), {"preset": "nightly", RATE: "0.75"}).text
    assert f'name="{RATE}" value="0.75"' in page
    assert '<option value="rf" selected>' in page


def test_only_what_is_secret_in_a_value_is_left_out_of_an_address(
    pages: Client, template: RunTemplate
) -> None:
    source = give_source(template)
    told = "“source” is secret: it cannot come from an address. Type it below."
    page = pages.get(template.get_absolute_url(), {source: '{"host": "db", "password": "hush"}'})
    assert told in page.text
    assert "hush" not in page.text.split("<main")[1]
    assert f'name="{source}.~1.host" value="db"' in page.text
    assert f'name="expected.{source}.~1.password"' in page.text
    copied_link = pages.get(template.get_absolute_url(), {source: '{"host": "db"}'})
    assert "cannot come from" not in copied_link.text
    assert f'name="{source}.~1.host" value="db"' in copied_link.text


def test_an_unreadable_text_that_may_hold_a_secret_is_not_shown(pages: Client, template: RunTemplate) -> None:
    page = pages.get(template.get_absolute_url(), {give_source(template): '{"password": "hush'})
    assert "“source” was ignored" in page.text
    assert "hush" not in page.text.split("<main")[1]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            {"steps.trainer.parameters.learnig_rate": "1"},
            "There is no field “steps.trainer.parameters.learnig_rate”",
        ),
        ({"utm_source": "mail"}, "There is no field “utm_source”"),
        ({RATE: "fast"}, "“learning_rate” was ignored: “fast” is not a number."),
        ({KEY: "hush"}, "“key” is secret: it cannot come from an address."),
        ({"steps.trainer.parameters.tags": "a,b"}, "is not a list in JSON"),
        ({"preset": "nihgtly"}, "has no preset 'nihgtly'"),
        ({"steps.trainer.parameters.tags.0": "a"}, "There is no field"),
    ],
)
def test_what_a_link_cannot_say_is_told_and_left_out(
    pages: Client, asking: RunTemplate, query: dict[str, str], words: str
) -> None:
    page = pages.get(asking.get_absolute_url(), query)
    assert page.status_code == 200
    assert escape(words) in page.text
    assert "hush" not in page.text
    assert f'name="{RATE}" value="0.1"' in page.text


def test_a_link_of_a_thousand_wrong_names_is_told_in_a_few_lines(
    pages: Client, template: RunTemplate
) -> None:
    page = pages.get(template.get_absolute_url(), {f"name{number}": "x" for number in range(500)}).text
    assert page.count("There is no field") == 8
    assert "And 492 more." in page


def test_markup_in_a_link_is_text(pages: Client, template: RunTemplate) -> None:
    page = pages.get(template.get_absolute_url(), {"<script>alert(1)</script>": "<b>", RATE: "<b>"}).text
    assert "<script>alert" not in page
    assert "“&lt;b&gt;” is not a number" in page


JSON_VALUES = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats(allow_nan=False, allow_infinity=False)
    | strategies.text(strategies.characters(codec="utf-8")),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(strategies.text(strategies.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=8,
)
TEXTS = strategies.text(strategies.characters(codec="utf-8"))


@given(JSON_VALUES)
def test_any_value_survives_its_address(value: Any) -> None:
    if value == "":
        return  # an input that holds nothing: what anything may be, cannot tell that from "not set"
    assert read_text(write_text(value, [{}]), [{}]) == value


@given(TEXTS)
def test_texts_are_in_an_address_as_they_are(text: str) -> None:
    schemas = [{"type": "string"}]
    assert write_text(text, schemas) == text
    assert read_text(text, schemas) == text


@given(TEXTS | strategies.integers())
def test_what_may_be_a_text_or_a_number_stays_what_it_is(value: str | int) -> None:
    schemas = [{"anyOf": []}, {"type": "string"}, {"type": "integer"}]
    read = read_text(write_text(value, schemas), schemas)
    assert (read, type(read)) == (value, type(value))


def test_a_link_made_of_values_reads_as_these_values(asking: RunTemplate) -> None:
    given_values = values(
        learning_rate=0.25, note=AWKWARD, maybe="", options={"a": [1, None]}, tags=["1", "x"]
    )
    schema = asking.version.config_schema
    query = link_query(schema, given_values | {"steps": {**given_values["steps"], "evaluator": {}}})
    assert read_link(schema, QueryDict(query)).over({}) == given_values


# -- copying from the pages -------------------------------------------------------------------------------------------


def test_the_values_in_the_form_are_copied_and_nothing_is_started(pages: Client, asking: RunTemplate) -> None:
    page = pages.post(asking.get_absolute_url(), {RATE: "0.75", MODEL: "svm", KEY: "hush", "do": "copy"})
    assert page.status_code == 200
    assert escape(f"{asking.get_absolute_url()}?{RATE}=0.75") in page.text
    assert "--set steps.trainer.parameters.learning_rate=0.75" in page.text
    assert "model_type" not in page.context["done"].copies["curl"]
    assert "hush" not in page.text
    assert "TRAINER_KEY" in page.text
    assert not PipelineRun.objects.exists()


def test_wrong_values_are_told_instead_of_copied(pages: Client, template: RunTemplate) -> None:
    part = pages.post(template.get_absolute_url(), {RATE: "2", "do": "copy"}, headers=HTMX)
    assert part.status_code == 200
    assert "Correct this first" in part.text
    assert "This must be at most 1." in part.text
    assert "curl" not in part.text
    assert "<html" not in part.text
    refused = pages.post(template.get_absolute_url(), {RATE: "2"})
    assert refused.text.count('role="alert"') == 1


def test_a_run_that_there_is_not_is_told_and_the_form_starts_without_it(
    pages: Client, template: RunTemplate
) -> None:
    page = pages.get(f"{template.get_absolute_url()}?from=123")
    assert "This template has no run “123”" in page.text
    assert page.status_code == 200


def test_a_required_secret_may_be_left_out_of_what_is_copied(pages: Client, template: RunTemplate) -> None:
    give(template, "key", {"type": "string", "format": "password", "writeOnly": True}, is_required=True)
    page = pages.post(template.get_absolute_url(), {RATE: "0.5", KEY: "", "do": "copy"})
    assert "TRAINER_KEY" in page.context["done"].copies["python"]
    give(template, "name", {"type": "string"}, is_required=True)
    refused = pages.post(template.get_absolute_url(), {RATE: "0.5", KEY: "", "do": "copy"})
    assert refused.context["done"].copies is None


def test_a_run_is_copied_with_what_differs_from_the_defaults(
    pages: Client, asking: RunTemplate, bob: User
) -> None:
    run = launch(asking, bob, {**values(learning_rate=0.75, key="hush"), "tags": ["a"], "run_name": "once"})
    assert reverse("run-copy", args=[run.id]) in pages.get(run.get_absolute_url()).text
    page = pages.get(reverse("run-copy", args=[run.id]))
    copies = page.context["copies"]
    assert YAML(typ="safe").load(copies["yaml"]) == {**values(learning_rate=0.75), "tags": ["a"]}
    assert "hush" not in page.text
    assert "once" not in copies["cli"]


def test_a_run_without_a_template_cannot_be_copied(pages: Client, template: RunTemplate, bob: User) -> None:
    run = launch(template, bob)
    PipelineRun.objects.update(template=None, template_version=None)
    assert pages.get(reverse("run-copy", args=[run.id])).status_code == 404
    assert reverse("run-copy", args=[run.id]) not in pages.get(run.get_absolute_url()).text


# -- what is copied starts the same run -------------------------------------------------------------------------------

GIVEN = values(
    learning_rate=1e-05,
    note=AWKWARD,
    handle="@everybody",
    maybe="5",
    options={"depth": 3, "a b": ["$(id)", None, True], "quote'": {'"': "\\"}},
    tags=["NO", "12:30", "1e5", "null", ""],
    key="s3cret \"'$`\\\n",
)


@pytest.fixture
def machine(
    live_server: LiveServer, asking: RunTemplate, alices_key: str, settings: Any, tmp_path: Path
) -> dict[str, str]:
    """The environment of a machine that may speak to the server; the template has a name that needs care."""
    settings.PUBLIC_URL = live_server.url
    RunTemplate.objects.update(name='it\'s "daily" $HOME `id`')
    asking.refresh_from_db()
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "ZENWEB_CONFIG_DIR": str(tmp_path),
        "ZENWEB_SERVER_URL": live_server.url,
        "ZENWEB_API_KEY": alices_key,
        "TRAINER_KEY": GIVEN["steps"]["trainer"]["parameters"]["key"],
    }


def copied(template: RunTemplate, configuration: Any = None) -> Copies:
    return copies_of(template, template.version.config_schema, configuration or GIVEN)


def execute(command: list[str], machine: dict[str, str], folder: Path) -> None:
    done = subprocess.run(
        command, env=machine, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("shell", [["bash"], ["bash", "-e"], ["sh", "-eu"]])
@pytest.mark.parametrize("given_env", [{}, {"TRAINER_LOGIN_KEY": ""}])
@pytest.mark.parametrize("key", ["curl", "github", "gitlab", "cli"])
def test_nothing_runs_without_a_secret_that_was_copied_as_a_variable(
    asking: RunTemplate, machine: dict[str, str], shell: list[str], given_env: dict[str, str], key: str
) -> None:
    give(asking, "login", {"type": "object", "properties": {"key": {"type": "string", "format": "password"}}})
    text = copied(asking, values(learning_rate=0.5, login={"key": "one"}))[key]
    if key == "github":
        text = YAML(typ="safe").load(text)[0]["run"]
    elif key == "gitlab":
        [text] = next(iter(YAML(typ="safe").load(text).values()))["script"]
    done = subprocess.run(
        [*shell, "-c", text], env=machine | given_env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "TRAINER_LOGIN_KEY" in done.stderr
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize(("options", "last"), [([], "reached"), (["-e"], "")])
def test_what_follows_a_copied_call_in_a_script_goes_by_the_shells_own_rule(
    asking: RunTemplate, machine: dict[str, str], options: list[str], last: str
) -> None:
    environment = {name: value for name, value in machine.items() if name != "TRAINER_KEY"}
    script = f"{copied(asking)['curl']}echo reached"
    done = subprocess.run(
        ["bash", *options, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == last


def on_github(step: dict[str, Any], machine: dict[str, str]) -> tuple[str, dict[str, str]]:
    """What GitHub's runner makes of a step: expressions are replaced in its texts before a shell sees them."""

    def evaluate(text: str) -> str:
        parts = text.split("${{")
        evaluated = [parts[0]]
        for part in parts[1:]:
            expression, _, rest = part.strip().partition(" }}")
            evaluated.append(
                shlex.split(expression)[0]
                if expression.startswith("'")
                else machine[expression.removeprefix("secrets.")]
            )
            evaluated.append(rest)
        return "".join(evaluated)

    # An expression that holds "${{" in quotes must not be cut there.
    marked = {"run": step["run"].replace("${{ '${{' }}", "\0")}
    return evaluate(marked["run"]).replace("\0", "${{"), {
        name: evaluate(text) for name, text in step["env"].items()
    }


@pytest.mark.parametrize("key", ["curl", "python", "cli", "github", "gitlab", "yaml"])
def test_each_copy_starts_the_same_run(
    asking: RunTemplate, machine: dict[str, str], tmp_path: Path, key: str
) -> None:
    text = copied(asking)[key]
    assert "s3cret" not in text
    if key == "python":
        execute([sys.executable, "-c", text], machine, tmp_path)
    elif key in {"curl", "cli"}:
        execute(["bash", "-euo", "pipefail", "-c", text], machine, tmp_path)
    elif key == "github":
        [step] = YAML(typ="safe").load(text)
        script, given_env = on_github(step, machine)
        bare = {name: machine[name] for name in ("PATH", "HOME", "LANG")}
        execute(["bash", "-euo", "pipefail", "-c", script], bare | given_env, tmp_path)
    elif key == "gitlab":
        [job] = YAML(typ="safe").load(text).values()
        execute(["bash", "-euo", "pipefail", "-c", "\n".join(job["script"])], machine, tmp_path)
    else:
        (tmp_path / "run.yaml").write_text(text)
        secret = f"{KEY}=TRAINER_KEY"
        assert f"--set-env {secret}" in text
        command = ["zenweb", "run-template", "run", asking.name, "--config", "run.yaml", "--set-env", secret]
        execute(command, machine, tmp_path)
    assert opened_configuration(PipelineRun.objects.get()) == GIVEN


def test_a_secret_inside_of_a_value_is_referred_to_there(
    asking: RunTemplate, machine: dict[str, str], tmp_path: Path
) -> None:
    secret = {"type": "string", "format": "password"}
    login = {"type": "object", "properties": {"user": {"type": "string"}, "password": secret}}
    give(asking, "logins", {"type": "array", "items": login})
    given_values = values(logins=[{"user": "ada", "password": "one"}, {"user": "bob", "password": "two"}])
    copies = copied(asking, given_values)
    variables = [secret.variable for secret in copies.secrets]
    assert len(set(variables)) == 2
    environment = machine | dict(zip(variables, ["one", "two"], strict=True))
    for command in (
        ["bash", "-euo", "pipefail", "-c", copies["cli"]],
        [sys.executable, "-c", copies["python"]],
    ):
        execute(command, environment, tmp_path)
    assert [opened_configuration(run) for run in PipelineRun.objects.all()] == [given_values] * 2


def opened_configuration(run: PipelineRun) -> Any:
    return opened(run.configuration, run.pk)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
    deadline=None,
)
@given(note=TEXTS, options=strategies.dictionaries(TEXTS, JSON_VALUES, max_size=3))
def test_any_value_survives_being_copied(asking: RunTemplate, note: str, options: dict[str, Any]) -> None:
    given_values = values(note=f"x{note}", options={"x": 1, **options})
    if validate(asking.version.config_schema, given_values):
        return
    copies = copied(asking, given_values)
    assert parse_yaml(copies["yaml"], "run.yaml") == given_values
    told: dict[str, Any] = {}
    code = copies["python"].split("trigger_pipeline(")[1].rpartition(")\nprint")[0]
    exec(f"told.update(dict({code}))", {"told": told})  # noqa: S102  # the copied code is what is tried
    assert told["run_configuration"] == given_values
    [step] = YAML(typ="safe").load(copies["github"])
    assert step["run"].replace("${{ '${{' }}", "${{") == copies["curl"]
    assert step["run"].count("${{") == 2 * copies["curl"].count("${{")
    [job] = YAML(typ="safe").load(copies["gitlab"]).values()
    assert job["script"] == [copies["curl"]]
