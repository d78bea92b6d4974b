"""The page on which a template's owner shapes its form."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from django.test import Client

from templates_app.models import RunTemplate, Stack
from templates_app.services import curate_run_template
from templates_app.shaping import Shape
from tests.factories import freeze, make_template
from zenweb.accounts.models import User

RATE, KIND, NAME = "trainer.rate", "trainer.kind", "trainer.name"
DOCUMENT: dict[str, Any] = {
    "version": 1,
    "sections": [
        {"title": "First", "help": "*Begin* here.", "parameters": [KIND, RATE, "reporter.note"]},
        {"title": "Empty", "help": "For later."},
    ],
    "parameters": {
        RATE: {
            "label": "Speed",
            "help": "**How** fast",
            "maximum": 0.5,
            "exclusive_minimum": 0.01,
            "default": 0.2,
        },
        KIND: {"widget": "radio", "choices": ["rf", "svm"], "default": "rf"},
        NAME: {"placeholder": "Ada", "hidden": True, "locked": "Bo"},
        "trainer.epochs": {"locked": None},
        "trainer.price": {"locked": "2.50"},
        "trainer.code": {"min_length": 3, "pattern": "^a", "choices": ["abc", "ade"], "widget": "radio"},
        "trainer.labels": {"default": ["x", "y"]},
        "trainer.either": {"default": "one"},
        "trainer.shuffle": {"locked": False},
        "reporter.note": {"default": "two\nlines", "widget": "paragraph"},
    },
}


@pytest.fixture
def shaped(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    deployment = freeze("shaped.asking_pipeline", alice, stacks["celery"])
    return make_template(deployment, alice, "shaped")


@pytest.fixture
def owner(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def address(template: RunTemplate) -> str:
    return f"{template.get_absolute_url()}form/"


def sent(page: Client, template: RunTemplate) -> dict[str, list[str]]:
    """What a browser would send of the page as it stands."""
    shape = Shape(template.version)
    data = QueryDict(mutable=True)
    data["version"] = str(template.version.number)
    for group in shape.groups:
        data.appendlist("section", group.number)
        data[f"section:{group.number}:title"] = group.title
        data[f"section:{group.number}:help"] = group.help
        for card in group.cards:
            data[card.section_name] = group.number
    for card in [*(card for group in shape.groups for card in group.cards), *shape.rest]:
        data.appendlist("parameter", card.key)
        inputs = [*card.wording(), *card.bounds(), card.value_input()]
        data.update({one.name: one.value.replace("\n", "\r\n") for one in inputs if one})
        data.update(
            {f"{card.key}:{name}": "on" for name in ("locked", "hidden", "unset") if card.is_on(name)}
        )
        data[f"{card.key}:unless"] = card.texts.get("unless", "")
        if card.listed:
            data[f"{card.key}:has-list"] = "1"
            data.setlist(f"{card.key}:listed", [key for key, _, is_chosen in card.boxes if is_chosen])
    return dict(data.lists())


def save(page: Client, template: RunTemplate, **changes: Any) -> Any:
    return page.post(address(template), sent(page, template) | {"do": "save"} | changes)


def test_what_is_shown_and_saved_again_is_the_same(owner: Client, alice: User, shaped: RunTemplate) -> None:
    curate_run_template(actor=alice, template=shaped, curation=DOCUMENT)
    shaped.refresh_from_db()
    assert shaped.version.curation == DOCUMENT
    shape = Shape(shaped.version, _query(sent(owner, shaped)))
    assert shape.judge(), shape.all_errors
    assert shape.curation is not None
    assert shape.curation.to_json() == DOCUMENT
    answer = save(owner, shaped)
    assert answer.url == shaped.get_absolute_url()
    assert shaped.versions.count() == 2


def _query(values: dict[str, list[str]]) -> QueryDict:
    data = QueryDict(mutable=True)
    for name, texts in values.items():
        data.setlist(name, texts)
    return data


def test_every_input_that_is_sent_is_on_the_page(owner: Client, alice: User, shaped: RunTemplate) -> None:
    curate_run_template(actor=alice, template=shaped, curation=DOCUMENT)
    shaped.refresh_from_db()
    page = owner.get(address(shaped)).text
    for name in sent(owner, shaped):
        assert f'name="{name}"' in page


def test_saving_makes_a_version_and_says_its_number(owner: Client, shaped: RunTemplate) -> None:
    answer = save(owner, shaped, **{f"{RATE}:label": "Speed", f"{RATE}:value": "0.3", f"{RATE}:locked": "on"})
    page = owner.get(answer.url).text
    assert "Saved as version 2." in page
    assert "Speed" in page
    shaped.refresh_from_db()
    assert shaped.version.curation == {"version": 1, "parameters": {RATE: {"label": "Speed", "locked": 0.3}}}


def test_what_is_fixed_may_hold_for_some_roles_alone(owner: Client, shaped: RunTemplate, bob: User) -> None:
    save(owner, shaped, **{f"{RATE}:value": "0.3", f"{RATE}:locked": "on", f"{RATE}:unless": "editor"})
    shaped.refresh_from_db()
    assert shaped.version.curation["parameters"][RATE] == {"locked": 0.3, "unless": "editor"}
    name = "steps.trainer.parameters.rate"
    assert f'name="{name}"' in owner.get(shaped.get_absolute_url()).text
    runner = Client()
    runner.force_login(bob)
    assert f'name="{name}"' not in runner.get(shaped.get_absolute_url()).text


def test_what_is_wrong_stands_at_its_input_and_nothing_is_saved(owner: Client, shaped: RunTemplate) -> None:
    page = save(
        owner,
        shaped,
        **{
            f"{RATE}:maximum": "2",
            "trainer.epochs:minimum": "many",
            f"{NAME}:locked": "on",
            f"{KIND}:listed": ["svm"],
        },
    )
    assert page.status_code == 422
    assert "Enter a number." in page.text
    assert "Say at which value it is fixed." in page.text
    assert 'value="many"' in page.text
    fixed = save(owner, shaped, **{f"{RATE}:maximum": "2", f"{RATE}:label": "Still here"})
    assert "The pipeline itself takes at most 1" in fixed.text
    assert 'value="Still here"' in fixed.text
    assert shaped.versions.count() == 1


def test_the_preview_is_the_form_that_people_will_see(owner: Client, shaped: RunTemplate) -> None:
    values = sent(owner, shaped) | {
        f"{RATE}:label": ["Speed"],
        f"{RATE}:help": ["*Fast* <b>x</b>"],
        "do": ["preview"],
    }
    part = owner.post(address(shaped), values, headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "<em>Fast</em> &lt;b&gt;x&lt;/b&gt;" in part.text
    assert 'name="steps.trainer.parameters.rate"' in part.text
    wrong = owner.post(address(shaped), values | {f"{RATE}:maximum": ["2"]}, headers={"HX-Request": "true"})
    assert "Not yet: 1 thing to correct" in wrong.text
    assert shaped.versions.count() == 1


def test_sections_are_made_moved_and_removed_by_buttons(
    owner: Client, alice: User, shaped: RunTemplate
) -> None:
    page = owner.post(address(shaped), sent(owner, shaped) | {"do": "add-section"}).text
    assert 'name="section:1:title" value="New section 1"' in page
    curate_run_template(actor=alice, template=shaped, curation=DOCUMENT)
    shaped.refresh_from_db()

    def pressed(action: str) -> list[list[str]]:
        data = _query(sent(owner, shaped))
        shape = Shape(shaped.version, data)
        shape.press(action)
        return [[card.key for card in group.cards] for group in shape.groups]

    assert pressed(f"down {KIND}") == [[RATE, KIND, "reporter.note"], []]
    assert pressed("up reporter.note") == [[KIND, "reporter.note", RATE], []]
    assert pressed(f"up {KIND}") == [[KIND, RATE, "reporter.note"], []]
    assert pressed("section-down 1") == [[], [KIND, RATE, "reporter.note"]]
    assert pressed("remove-section 1") == [[]]


def test_a_form_is_exported_and_taken_over(owner: Client, alice: User, shaped: RunTemplate) -> None:
    curate_run_template(actor=alice, template=shaped, curation=DOCUMENT)
    file = owner.get(f"{address(shaped)}export")
    assert file["Content-Disposition"] == 'attachment; filename="shaped-form.json"'
    assert json.loads(file.content) == DOCUMENT
    curate_run_template(actor=alice, template=shaped, curation={})
    shaped.refresh_from_db()
    upload = SimpleUploadedFile("form.json", file.content)
    page = owner.post(address(shaped), sent(owner, shaped) | {"do": "import", "file": upload}).text
    assert 'value="Speed"' in page
    assert shaped.versions.count() == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "The file is not valid JSON"),
        (b"null", "A form is an object with named values"),
        (b'{"parametres": {}}', "Did you mean"),
    ],
)
def test_a_file_that_is_no_form_is_told(
    owner: Client, shaped: RunTemplate, content: bytes, words: str
) -> None:
    upload = SimpleUploadedFile("form.json", content)
    page = owner.post(address(shaped), sent(owner, shaped) | {"do": "import", "file": upload})
    assert page.status_code == 200
    assert words in page.text


def test_of_a_file_everything_that_is_wrong_is_told_at_once(owner: Client, shaped: RunTemplate) -> None:
    parameters = {
        RATE: {"label": "Speed", "maximum": 7, "minimun": 1},
        KIND: {"choices": ["svm", "none"]},
        NAME: {"min_length": -1},
        "trainer.gone": {"label": "Gone"},
    }
    file = {"sections": [{"parameters": [RATE, "trainer.lost"]}], "parameters": parameters}
    upload = SimpleUploadedFile("form.json", json.dumps(file).encode())
    page = owner.post(address(shaped), sent(owner, shaped) | {"do": "import", "file": upload})
    shape = page.context["shape"]
    assert [sentence for _, sentence in shape.all_errors] == [
        "Give this section a title.",
        "Speed: The pipeline itself takes at most 1: this may narrow that, not widen it.",
    ]
    assert shape.left_out == [
        "This template has no parameter 'trainer.gone': what is said about it is left out.",
        "This template has no parameter 'trainer.lost': what is said about it is left out.",
        "trainer.rate, minimun: There is no 'minimun' here. Did you mean 'minimum'?",
        "trainer.name, min_length: This must be greater than or equal to 0.",
        "trainer.kind, choices, entry 2: This must be one of: svm, rf, knn.",
    ]
    assert "2 things to correct" in page.text
    assert 'value="Speed"' in page.text


def test_what_of_a_file_is_left_out_is_nothing_to_correct(owner: Client, shaped: RunTemplate) -> None:
    upload = SimpleUploadedFile("form.json", b'{"parameters": {"trainer.gone": {"label": "Gone"}}}')
    page = owner.post(address(shaped), sent(owner, shaped) | {"do": "import", "file": upload}).text
    assert "Not all of the file was taken over" in page
    assert "This template has no parameter &#x27;trainer.gone&#x27;" in page
    assert "to correct" not in page


def test_of_a_secret_only_its_words_and_lengths_are_asked_for(owner: Client, shaped: RunTemplate) -> None:
    names = sent(owner, shaped)
    asked = {name.partition(":")[2] for name in names if name.startswith("trainer.key:")}
    assert {"label", "min_length", "max_length"} <= asked
    assert not asked & {"pattern", "choices", "value"}


def test_a_form_is_taken_over_from_yaml(owner: Client, shaped: RunTemplate) -> None:
    upload = SimpleUploadedFile("form.yaml", f"parameters: {{{RATE}: {{label: From YAML}}}}".encode())
    page = owner.post(address(shaped), sent(owner, shaped) | {"do": "import", "file": upload})
    assert 'value="From YAML"' in page.text
    broken = SimpleUploadedFile("form.yml", b"parameters: [")
    assert "thing to correct" in owner.post(address(shaped), {"do": "import", "file": broken}).text


def test_who_comes_late_is_told_and_loses_nothing(owner: Client, alice: User, shaped: RunTemplate) -> None:
    before = sent(owner, shaped)
    curate_run_template(actor=alice, template=shaped, curation=DOCUMENT)
    page = owner.post(address(shaped), before | {"do": "save", f"{RATE}:label": "Mine"})
    assert page.status_code == 422
    assert "version 2 meanwhile" in page.text
    assert f'href="{address(shaped)}" target="_blank"' in page.text
    assert 'value="Mine"' in page.text


def test_only_who_may_edit_gets_to_see_it(client: Client, bob: User, shaped: RunTemplate) -> None:
    client.force_login(bob)
    assert client.get(address(shaped)).url == shaped.get_absolute_url()
    assert client.post(address(shaped), {"do": "save"}).url == shaped.get_absolute_url()
    assert "Shape the form" not in client.get(shaped.get_absolute_url()).text
    assert shaped.versions.count() == 1


def test_the_form_follows_the_owners_order(owner: Client, alice: User, shaped: RunTemplate) -> None:
    curate_run_template(actor=alice, template=shaped, curation=DOCUMENT)
    page = owner.get(shaped.get_absolute_url()).text
    form = page.partition('id="form-values"')[2]
    places = [form.index(f"parameters.{name}") for name in ("kind", "rate", "note", "code")]
    assert places == sorted(places)
    assert "<em>Begin</em> here." in form
    assert 'type="radio" name="steps.trainer.parameters.kind" value="rf"' in form
    assert 'name="steps.trainer.parameters.price"' not in form  # fixed: shown, not asked for
    assert "2.50" in form
    assert "steps.trainer.parameters.name" not in form  # hidden
    assert ">Empty<" not in form  # a section with nothing in it
