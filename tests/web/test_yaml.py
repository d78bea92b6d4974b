"""The YAML view of a template's page: what it shows, what it runs, and the way to the form and back."""

import html
import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from runs_app.models import PipelineRun
from templates_app.models import RunTemplate
from tests.factories import launch
from tests.web.test_links import give
from tests.web.test_secrets import AGAIN, KEY, RATE, describe
from zenweb.accounts.models import User
from zenweb.config.yaml_text import read

MODEL = "steps.trainer.parameters.model_type"
THRESHOLD = "steps.evaluator.parameters.threshold"
TOKEN = "0b5c7a1e-0000-4000-8000-000000000001"
WHOLE = """run_name: mine
tags: [a]
steps:
  trainer:
    parameters: {learning_rate: 0.5}
    retry: {max_retries: 2}
"""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


def send_yaml(pages: Client, template: RunTemplate, text: str, **values: Any) -> Any:
    return pages.post(template.get_absolute_url(), {"view": "yaml", "yaml": text, **values})


def send_form(pages: Client, template: RunTemplate, values: dict[str, Any]) -> Any:
    return pages.post(template.get_absolute_url(), values)


def text_of(page: Any) -> str:
    """What is in the editor."""
    found = re.search(r"<textarea[^>]*data-editor[^>]*>\n(.*?)</textarea>", page.text, re.DOTALL)
    assert found, "there is no editor on this page"
    return html.unescape(found[1])


def inputs_of(page: Any) -> dict[str, str]:
    """What a browser would send of the form as it stands."""
    form = page.text.split('id="run-form"')[1].split("</form>")[0]
    inputs = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and ('type="checkbox"' not in tag or "checked" in tag):
            inputs[html.unescape(name[1])] = html.unescape(value[1]) if value else ""
    for name, options in re.findall(r'<select[^>]*name="([^"]*)".*?>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        inputs[name] = html.unescape(chosen[1]) if chosen else ""
    for name, text in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL):
        inputs[name] = html.unescape(text)
    return inputs


# -- what it shows ----------------------------------------------------------------------------------------------------


def test_the_form_has_the_other_view_beside_it(pages: Client, template: RunTemplate) -> None:
    page = pages.get(template.get_absolute_url()).text
    assert 'name="switch" value="yaml"' in page
    assert "editor.js" not in page


def test_an_editor_where_nothing_differs_shows_how_to_write_a_value(
    pages: Client, template: RunTemplate
) -> None:
    page = pages.get(template.get_absolute_url(), {"view": "yaml"})
    text = text_of(page)
    assert "#       learning_rate: 0.1" in text
    assert read(text).value is None
    assert "editor.js" in page.text


def test_only_what_differs_is_shown(pages: Client, template: RunTemplate, alice: User) -> None:
    run = launch(template, alice, {"steps": {"trainer": {"parameters": {"learning_rate": 0.75}}}})
    text = text_of(pages.get(template.get_absolute_url(), {"view": "yaml", "from": run.id}))
    assert text == "steps:\n  trainer:\n    parameters:\n      learning_rate: 0.75\n"


def test_everything_is_shown_when_asked_and_hidden_again(pages: Client, template: RunTemplate) -> None:
    mine = "# mine\nsteps:\n  trainer:\n    parameters:\n      learning_rate: 0.75  # fast\n"
    everything = send_yaml(pages, template, mine, switch="all")
    text = text_of(everything)
    assert "learning_rate: 0.75  # fast" in text
    assert text.startswith("# mine\n")
    assert read(text).value["steps"]["trainer"]["parameters"]["model_type"] == "svm"
    assert "threshold" in read(text).value["steps"]["evaluator"]["parameters"]
    assert text_of(send_yaml(pages, template, text, everything="1", switch="changes")) == mine


def test_a_browser_keeps_the_text_where_no_secret_can_be_in_it(pages: Client, template: RunTemplate) -> None:
    assert 'yaml"' in re.findall(r'data-keep="[^"]*"', yaml_page(pages, template))[0]
    describe(template.deployment, {})
    assert "data-keep" not in yaml_page(pages, template)
    assert "data-keep" in pages.get(template.get_absolute_url()).text


def test_what_is_turned_to_is_newer_than_what_the_browser_kept(pages: Client, template: RunTemplate) -> None:
    assert "data-is-sent" not in yaml_page(pages, template)
    assert "data-is-sent" in send_form(pages, template, {RATE: "0.5", "switch": "yaml"}).text
    assert "data-is-sent" in send_yaml(pages, template, WHOLE, switch="form").text


def yaml_page(pages: Client, template: RunTemplate) -> str:
    text: str = pages.get(template.get_absolute_url(), {"view": "yaml"}).text
    return text


def test_only_the_editors_page_lets_its_script_write_styles(pages: Client, template: RunTemplate) -> None:
    page = pages.get(template.get_absolute_url(), {"view": "yaml"})
    nonce = re.search(r'editor[^"]*\.js" nonce="([^"]+)"', page.text)
    assert nonce
    assert f"style-src 'self' 'nonce-{nonce[1]}'" in page["Content-Security-Policy"]
    assert "unsafe" not in page["Content-Security-Policy"]


# -- what it runs -----------------------------------------------------------------------------------------------------


def test_what_is_written_is_what_runs(pages: Client, template: RunTemplate, bob: User) -> None:
    text = WHOLE
    answer = send_yaml(pages, template, text)
    run = PipelineRun.objects.get()
    assert answer.url == run.get_absolute_url()
    assert run.configuration == read(text).value
    assert (run.name, run.tags, run.user) == ("mine", ["a"], bob)
    assert run.parameters["trainer"] == {"learning_rate": 0.5, "model_type": "svm"}


def test_the_button_runs_it(pages: Client, template: RunTemplate) -> None:
    assert send_yaml(pages, template, WHOLE, do="run").status_code == 302
    assert PipelineRun.objects.get().name == "mine"


@pytest.mark.parametrize("verb", ["copy", "save-preset", "compare", "check", "show", "add", "unknown"])
def test_a_button_for_anything_else_runs_nothing(pages: Client, template: RunTemplate, verb: str) -> None:
    page = send_yaml(pages, template, WHOLE, do=verb, preset_name="nightly", submit_token=TOKEN)
    assert page.status_code == 200
    assert text_of(page) == WHOLE
    assert inputs_of(page)["submit_token"] == TOKEN
    assert not PipelineRun.objects.exists()


def test_what_belongs_to_the_form_is_not_beside_the_editor(pages: Client, template: RunTemplate) -> None:
    page = pages.get(template.get_absolute_url(), {"view": "yaml"}).text
    assert 'value="save-preset"' not in page
    assert 'value="copy"' not in page
    assert not send_yaml(pages, template, WHOLE, preset_name="nightly").context["done"].leads_to
    assert not PipelineRun.objects.exists()


def test_an_empty_editor_runs_the_defaults(pages: Client, template: RunTemplate) -> None:
    send_yaml(pages, template, "# nothing\n")
    assert PipelineRun.objects.get().parameters["trainer"]["learning_rate"] == 0.1


def test_everything_that_is_wrong_is_told_with_its_line(pages: Client, template: RunTemplate) -> None:
    text = "steps:\n  trainer:\n    parameters:\n      learning_rate: 2\n      modeltype: rf\n"
    page = send_yaml(pages, template, text)
    assert page.status_code == 422
    assert "2 things to correct" in page.text
    assert 'data-line="4">Line 4</a>: “Learning rate” (Trainer): This must be at most 1.' in page.text
    assert 'data-line="5">Line 5</a>: Trainer: There is no &#x27;modeltype&#x27; here.' in page.text
    assert text_of(page) == text
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("steps:\n  trainer:\n\tretry: 1\n", 3, "A tab stands here: indent with blanks."),
        ("run_name: a\nrun_name: b\n", 2, "The key 'run_name' is there twice: in line 1 before."),
        ("steps:\n  x: !!python/object/apply:os.getcwd []\n", 2, "is not taken here"),
        ("- a\n- b\n", 1, "A run configuration is names with values"),
        (BOMB, None, "Aliases repeat more than"),
        ("a: &a [*a]\n", 1, "This holds itself"),
        ("[" * 5000, 1, "nested more than 100 levels deep"),
        ("a: b\n" * 12_001, None, "up to 60,000 characters"),
        ("a: .nan\n", 1, "JSON has no number nan"),
    ],
)
@pytest.mark.parametrize("switch", [{}, {"switch": "form"}, {"switch": "all"}])
def test_text_that_cannot_be_taken_stays_with_the_reason_and_its_line(
    pages: Client, template: RunTemplate, text: str, line: int | None, sentence: str, switch: dict[str, str]
) -> None:
    page = send_yaml(pages, template, text, **switch)
    assert page.status_code == 422
    assert text_of(page) == text
    told = html.unescape(page.text)
    assert sentence in told
    assert line is None or f"Line {line}</a>: " in told
    assert not PipelineRun.objects.exists()


def test_a_file_takes_the_place_of_the_text(pages: Client, template: RunTemplate) -> None:
    content = "steps:\r\n  trainer:\r\n    parameters: {learning_rate: 0.25}\r\n".encode("utf-8-sig")
    file = SimpleUploadedFile("run.yaml", content)
    page = send_yaml(pages, template, "tags: [old]\n", file=file, switch="file")
    assert page.status_code == 200
    assert text_of(page) == content.decode("utf-8-sig").replace("\r\n", "\n")
    assert not PipelineRun.objects.exists()
    send_yaml(pages, template, "tags: [old]\n", file=SimpleUploadedFile("run.yaml", content))
    run = PipelineRun.objects.get()
    assert (run.parameters["trainer"]["learning_rate"], run.tags) == (0.25, [])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"\xff\xfe", "is not a text in UTF-8"), (b"# " + b"x" * 240_001, "has more than 60,000 characters")],
)
def test_a_file_that_cannot_be_taken_leaves_the_text(
    pages: Client, template: RunTemplate, content: bytes, sentence: str
) -> None:
    file = SimpleUploadedFile("run.yaml", content)
    page = send_yaml(pages, template, "tags: [old]\n", file=file, switch="file")
    assert page.status_code == 422
    assert sentence in page.text
    assert text_of(page) == "tags: [old]\n"


def test_the_same_text_sent_twice_is_one_run(pages: Client, template: RunTemplate) -> None:
    first, second = (send_yaml(pages, template, "tags: [a]\n", submit_token=TOKEN) for _ in range(2))
    assert first.url == second.url
    assert PipelineRun.objects.count() == 1


def test_a_template_that_changed_meanwhile_is_not_run_unseen(pages: Client, template: RunTemplate) -> None:
    page = send_yaml(pages, template, "tags: [a]\n", version="7")
    assert page.status_code == 422
    assert "has become version 1" in page.text
    assert text_of(page) == "tags: [a]\n"
    assert not PipelineRun.objects.exists()


def test_a_name_that_is_taken_is_said(pages: Client, template: RunTemplate, alice: User) -> None:
    launch(template, alice, {"run_name": "mine"})
    page = send_yaml(pages, template, "run_name: mine\n")
    assert page.status_code == 422
    assert "already exists" in page.text


def test_a_template_that_is_switched_off_has_no_editor(pages: Client, template: RunTemplate) -> None:
    RunTemplate.objects.update(is_enabled=False)
    assert "This template is switched off" in send_yaml(pages, template, "tags: [a]\n").text
    assert not PipelineRun.objects.exists()


# -- the way to the other view and back -------------------------------------------------------------------------------


def test_the_form_turns_into_yaml_with_its_values(pages: Client, template: RunTemplate) -> None:
    page = send_form(pages, template, {RATE: "0.5", MODEL: "svm", "switch": "yaml", "submit_token": TOKEN})
    assert page.status_code == 200
    assert text_of(page) == "steps:\n  trainer:\n    parameters:\n      learning_rate: 0.5\n"
    assert inputs_of(page)["submit_token"] == TOKEN
    assert not PipelineRun.objects.exists()


def test_values_that_are_wrong_turn_into_yaml_too(pages: Client, template: RunTemplate) -> None:
    text = text_of(send_form(pages, template, {RATE: "2", "switch": "yaml"}))
    assert "learning_rate: 2" in text


def test_a_text_that_is_no_value_comes_along_and_back(pages: Client, template: RunTemplate) -> None:
    page = send_form(pages, template, {RATE: "half", THRESHOLD: "0.3", "switch": "yaml"})
    assert page.status_code == 200
    assert "learning_rate: half" in text_of(page)
    refused = send_yaml(pages, template, text_of(page))
    assert "Line 4</a>: “Learning rate” (Trainer)" in refused.text
    form = send_yaml(pages, template, text_of(page), switch="form")
    assert inputs_of(form)[RATE] == "half"
    assert "Enter a number." in send_form(pages, template, inputs_of(form)).text


def test_yaml_turns_into_the_form_and_back_without_losing_a_thing(
    pages: Client, template: RunTemplate
) -> None:
    """A name, tags, a setting of a step, a step and a parameter that do not exist: the form has no field for them."""
    text = (
        "# mine\nrun_name: mine\ntags: [a, b]\nsteps:\n  trainer:\n    parameters:\n      learning_rate: 0.5\n"
        "      unheard: 1\n    retry: {max_retries: 2}\n  nowhere: {}\n"
    )
    form = send_yaml(pages, template, text, switch="form")
    assert form.status_code == 200
    assert f'name="{RATE}" value="0.5"' in form.text
    assert (
        "<strong>run_name</strong>, <strong>tags</strong>, <strong>steps.trainer.retry</strong>, "
        "<strong>steps.trainer.parameters.unheard</strong>, <strong>steps.nowhere</strong>" in form.text
    )
    assert text_of(send_form(pages, template, {**inputs_of(form), "switch": "yaml"})) == text


def test_what_the_form_changes_is_changed_in_the_text_and_nothing_else(
    pages: Client, template: RunTemplate
) -> None:
    text = "# mine\ntags: [a]  # mine too\nsteps:\n  trainer:\n    parameters:\n      learning_rate: 0.5  # slow\n"
    form = inputs_of(send_yaml(pages, template, text, switch="form"))
    page = send_form(pages, template, {**form, RATE: "0.9", "switch": "yaml"})
    assert text_of(page) == text.replace("0.5", "0.9")


def test_the_form_runs_what_is_kept_beside_it(pages: Client, template: RunTemplate) -> None:
    text = WHOLE
    form = inputs_of(send_yaml(pages, template, text, switch="form"))
    send_form(pages, template, form)
    send_yaml(pages, template, text.replace("mine", "other"))
    in_form, in_yaml = PipelineRun.objects.order_by("created")
    assert (in_form.name, in_yaml.name) == ("mine", "other")
    for key in ("steps", "tags", "execution_mode"):
        assert in_form.resolved_configuration[key] == in_yaml.resolved_configuration[key]


def test_what_is_wrong_beside_the_form_is_said_and_still_kept(pages: Client, template: RunTemplate) -> None:
    form = inputs_of(send_yaml(pages, template, "stepz: 1\ntags: [a]\n", switch="form"))
    page = send_form(pages, template, form)
    assert page.status_code == 422
    assert "stepz: There is no" in page.text
    assert json.loads(inputs_of(page)["rest"]) == {"stepz": 1, "tags": ["a"]}


@pytest.mark.parametrize("rest", ["{", "[1]", '{"steps": 1}', '{"a": 1, "a": 2}', "[" * 20_000])
def test_what_was_kept_and_cannot_be_read_is_refused(pages: Client, template: RunTemplate, rest: str) -> None:
    page = send_form(pages, template, {RATE: "0.5", "rest": rest})
    assert page.status_code == 422
    assert "What was kept beside the form cannot be read." in page.text
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize(
    "text", ["steps: [a]\n", "steps:\n  trainer: 1\n", "steps: {trainer: {parameters: []}}\n"]
)
def test_yaml_that_no_form_could_show_stays(pages: Client, template: RunTemplate, text: str) -> None:
    page = send_yaml(pages, template, text, switch="form")
    assert page.status_code == 422
    assert text_of(page) == text
    assert "This must be an object with named values." in page.text


def test_turning_to_the_other_view_is_not_to_have_seen_a_new_version(
    pages: Client, template: RunTemplate
) -> None:
    page = send_form(pages, template, {RATE: "0.5", "version": "7", "switch": "yaml"})
    assert inputs_of(page)["version"] == "7"
    form = pages.post(template.get_absolute_url(), {**inputs_of(page), "switch": "form"})
    assert inputs_of(form)["version"] == "7"


# -- secrets ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def asking(template: RunTemplate) -> RunTemplate:
    describe(template.deployment, {})
    return template


WITH_KEY = "steps:\n  trainer:\n    parameters:\n      key: hush\n      learning_rate: {}\n"


@pytest.mark.parametrize("switch", ["form", "all", "changes"])
def test_a_secret_is_never_written_into_a_page(pages: Client, asking: RunTemplate, switch: str) -> None:
    page = send_yaml(pages, asking, WITH_KEY.format("0.5"), switch=switch)
    assert page.status_code == 200
    assert "hush" not in page.text
    assert AGAIN in page.text


def test_a_secret_moves_out_of_a_text_that_is_refused(pages: Client, asking: RunTemplate) -> None:
    page = send_yaml(pages, asking, WITH_KEY.format("2"))
    assert "hush" not in page.text
    assert "Line 4</a>: “Learning rate” (Trainer)" in page.text
    assert f'name="expected.{KEY}"' in page.text


def test_a_secret_of_the_form_is_asked_for_below_the_editor(pages: Client, asking: RunTemplate) -> None:
    page = send_form(pages, asking, {RATE: "0.5", KEY: "hush", "switch": "yaml"})
    assert "hush" not in page.text
    sent = inputs_of(page)
    assert sent[f"expected.{KEY}"] == "1"
    refused = pages.post(asking.get_absolute_url(), sent)
    assert (refused.status_code, AGAIN in refused.text) == (422, True)
    assert not PipelineRun.objects.exists()
    form = pages.post(asking.get_absolute_url(), {**sent, "switch": "form"})
    assert inputs_of(form)[f"expected.{KEY}"] == "1"
    assert "•" not in form.text.split("run-form")[1].split("</form>")[0]


@pytest.mark.parametrize(("typed", "key"), [({KEY: "new"}, "new"), ({f"declined.{KEY}": "1"}, "the default")])
def test_it_is_typed_again_or_done_without(
    pages: Client, asking: RunTemplate, typed: dict[str, str], key: str
) -> None:
    send_yaml(pages, asking, "tags: [a]\n", **{f"expected.{KEY}": "1", KEY: "", **typed})
    assert PipelineRun.objects.get().opened_parameters["trainer"].get("key", "the default") == key


def test_a_secret_in_the_text_runs(pages: Client, asking: RunTemplate) -> None:
    send_yaml(pages, asking, WITH_KEY.format("0.5"))
    assert PipelineRun.objects.get().opened_parameters["trainer"]["key"] == "hush"


ACCOUNT = "steps.trainer.parameters.account"
ACCOUNTS = """steps:
  trainer:
    parameters:
      account: {user: ann, password: hush}  # mine
      accounts: [{user: bob}, {user: eve, password: hush}]
"""


@pytest.fixture
def nested(template: RunTemplate) -> RunTemplate:
    """A template whose trainer has secrets inside of values."""
    account = {
        "type": "object",
        "properties": {"user": {"type": "string"}, "password": {"type": "string", "writeOnly": True}},
        "required": ["password"],
    }
    guest = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    give(template, "account", {"anyOf": [guest, account, {"type": "null"}]})
    rows = {**account, "required": ["user"]}
    give(template, "accounts", {"type": "array", "items": rows, "default": []})
    return template


def test_a_secret_inside_a_value_moves_to_a_field_below_the_text(pages: Client, nested: RunTemplate) -> None:
    page = send_yaml(pages, nested, ACCOUNTS, switch="all")
    assert "hush" not in page.text
    parameters = read(text_of(page)).value["steps"]["trainer"]["parameters"]
    assert parameters["account"] == {"user": "ann", "password": None}
    assert parameters["accounts"] == [{"user": "bob"}, {"user": "eve", "password": None}]
    assert "# mine" in text_of(page)
    for name, title in [
        (f"{ACCOUNT}.password", "Account → Password"),
        (f"{ACCOUNT}s.1.password", "Accounts → Entry 2 → Password"),
    ]:
        assert f'<input class="form-control" type="password" id="id_{name}" name="{name}"' in page.text
        assert f'for="id_{name}">{title} ' in page.text


def test_a_secret_inside_a_value_is_typed_below_and_runs(pages: Client, nested: RunTemplate) -> None:
    sent = send_of(send_yaml(pages, nested, ACCOUNTS, switch="file"))
    refused = pages.post(nested.get_absolute_url(), sent)
    assert refused.status_code == 422
    assert refused.text.count(AGAIN) == 4  # in the summary and at each field
    assert '<h2 class="notice-title">2 things to correct</h2>' in refused.text
    assert not PipelineRun.objects.exists()
    typed = {f"{ACCOUNT}.password": "one", f"{ACCOUNT}s.1.password": "two"}
    pages.post(nested.get_absolute_url(), send_of(refused) | typed)
    ran = PipelineRun.objects.get().opened_parameters["trainer"]
    assert ran["account"] == {"user": "ann", "password": "one"}
    assert ran["accounts"] == [{"user": "bob"}, {"user": "eve", "password": "two"}]


def test_a_secret_inside_a_value_runs_from_the_text_and_may_be_done_without(
    pages: Client, nested: RunTemplate
) -> None:
    send_yaml(pages, nested, ACCOUNTS)
    assert PipelineRun.objects.get().opened_parameters["trainer"]["account"] == {
        "user": "ann",
        "password": "hush",
    }
    sent = send_of(send_yaml(pages, nested, ACCOUNTS, switch="file"))
    without = {f"{ACCOUNT}.password": "one", f"declined.{ACCOUNT}s.1.password": "1"}
    pages.post(nested.get_absolute_url(), sent | without)
    ran = PipelineRun.objects.order_by("created").last()
    assert ran.opened_parameters["trainer"]["accounts"] == [{"user": "bob"}, {"user": "eve"}]


def test_a_secret_whose_place_is_gone_is_asked_for_no_more(pages: Client, nested: RunTemplate) -> None:
    sent = send_of(send_yaml(pages, nested, ACCOUNTS, switch="file"))
    text = "steps: {trainer: {parameters: {account: {name: ann}}}}\n"
    assert pages.post(nested.get_absolute_url(), sent | {"yaml": text}).status_code == 302
    assert PipelineRun.objects.get().parameters["trainer"]["account"] == {"name": "ann"}


def test_a_secret_inside_a_value_is_asked_for_in_either_view(pages: Client, nested: RunTemplate) -> None:
    sent = send_of(send_yaml(pages, nested, ACCOUNTS, switch="file"))
    form = pages.post(nested.get_absolute_url(), sent | {"switch": "form"})
    assert inputs_of(form)[f"expected.{ACCOUNT}.~1.password"] == "1"
    assert inputs_of(form)[f"{ACCOUNT}.~1.user"] == "ann"
    back = pages.post(nested.get_absolute_url(), {**inputs_of(form), "switch": "yaml"})
    assert set(send_of(back)["left_out"]) == set(sent["left_out"])
    everything = pages.post(nested.get_absolute_url(), send_of(back) | {"switch": "all"})
    assert set(send_of(everything)["left_out"]) == set(sent["left_out"])


@pytest.mark.parametrize(
    "pointer", ["/steps/trainer/parameters/account/user", f"/steps/{'9' * 5000}", "", "x", "/steps"]
)
def test_nobody_can_have_a_field_made_for_what_is_no_secret(
    pages: Client, nested: RunTemplate, pointer: str
) -> None:
    page = send_yaml(pages, nested, "tags: [a]\n", left_out=pointer, switch="all")
    assert 'type="password"' not in page.text


def send_of(page: Any) -> dict[str, Any]:
    """What a browser would send, with every secret that is asked for again."""
    left_out = re.findall(r'name="left_out" value="([^"]*)"', page.text)
    return inputs_of(page) | {"left_out": left_out}


def test_a_stranger_has_no_editor(client: Client, template: RunTemplate) -> None:
    assert send_yaml(client, template, "tags: [a]\n").status_code == 302
    assert not PipelineRun.objects.exists()
