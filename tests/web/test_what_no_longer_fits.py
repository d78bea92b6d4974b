"""A form starts from what was right before: what is not any more is shown, or told, and never another value instead."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from runs_app.models import PipelineRun
from runs_app.presets import create_preset
from templates_app.models import RunTemplate, Stack
from templates_app.services import curate_run_template
from tests.factories import freeze, launch, make_template
from tests.templates.sending import sent
from zenweb.accounts.models import User

KIND = "steps.trainer.parameters.kind"
EPOCHS = "steps.trainer.parameters.epochs"
FORMER = {"name": "Ada", "kind": "knn", "colour": "blue", "epochs": 10}
FIXED = "“Epochs” (Trainer) is fixed by now, so it has another value than there."


@pytest.fixture
def shaped(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("shaped.asking_pipeline", alice, stacks["celery"]), alice, "shaped")


@pytest.fixture
def owner(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def configuration(**parameters: Any) -> dict[str, Any]:
    return {"steps": {"trainer": {"parameters": parameters}}}


@pytest.fixture
def former(shaped: RunTemplate, alice: User) -> PipelineRun:
    """Its values were right when it ran, and made a preset; then the owner narrowed the form."""
    create_preset(
        actor=alice, template=shaped, name="wide", configuration=configuration(**FORMER), is_shared=True
    )
    run = launch(shaped, alice, configuration(**FORMER))
    PipelineRun.objects.update(status="completed")
    narrowed = {
        "trainer.kind": {"choices": ["svm", "rf"]},
        "trainer.colour": {"choices": ["red", "green"], "widget": "radio"},
        "trainer.epochs": {"locked": 5},
    }
    curate_run_template(actor=alice, template=shaped, curation={"parameters": narrowed})
    shaped.refresh_from_db()
    return run


def starts(former: PipelineRun) -> dict[str, str]:
    return {
        "preset": urlencode({"preset": "wide"}),
        "last good": urlencode({"preset": "last-good"}),
        "run": urlencode({"from": former.pk}),
        "link": urlencode({f"steps.trainer.parameters.{name}": value for name, value in FORMER.items()}),
    }


@pytest.mark.parametrize("start", ["preset", "last good", "run", "link"])
def test_a_choice_that_is_gone_stands_in_the_form_and_is_refused(
    start: str, owner: Client, shaped: RunTemplate, former: PipelineRun
) -> None:
    address = f"{shaped.get_absolute_url()}?{starts(former)[start]}"
    page = owner.get(address).text
    assert '<option value="knn" selected>knn (not offered)</option>' in page
    assert "“knn” is not offered: choose another." in page
    assert FIXED in page
    data = sent(page)
    assert (data[KIND], data["steps.trainer.parameters.colour"]) == ("knn", "blue")
    refused = owner.post(address, data)
    assert refused.status_code == 422
    assert refused.text.count("Choose one of the listed values.") >= 2
    assert sent(refused.text)[KIND] == "knn"
    assert PipelineRun.objects.count() == 1
    data[KIND], data["steps.trainer.parameters.colour"] = "rf", "green"
    assert owner.post(address, data).status_code == 302
    assert PipelineRun.objects.latest("created").parameters["trainer"] == {
        **former.parameters["trainer"],
        "kind": "rf",
        "colour": "green",
        "epochs": 5,
    }


@pytest.mark.parametrize("start", ["preset", "last good", "run", "link"])
def test_what_is_fixed_by_now_is_told_and_left_out_of_the_text_too(
    start: str, owner: Client, shaped: RunTemplate, former: PipelineRun
) -> None:
    page = owner.get(f"{shaped.get_absolute_url()}?view=yaml&{starts(former)[start]}").text
    assert FIXED in page
    text = sent(page)["yaml"]
    assert "kind: knn" in text
    assert "epochs" not in text


def test_what_is_fixed_by_now_differs_from_the_run_that_one_starts_from(
    owner: Client, shaped: RunTemplate, former: PipelineRun
) -> None:
    page = owner.get(f"{shaped.get_absolute_url()}?from={former.pk}").text
    assert f'data-changed="{EPOCHS}"' in page
    assert "The same values." not in page


def test_a_repair_asks_for_what_is_gone(
    owner: Client, alice: User, shaped: RunTemplate, former: PipelineRun
) -> None:
    PipelineRun.objects.update(status="failed")
    address = f"{former.get_absolute_url()}repair?version=newest"
    page = owner.get(address).text
    assert FIXED in page
    data = sent(page)
    assert data[KIND] == "knn"
    assert owner.post(address, data).status_code == 422
    assert PipelineRun.objects.count() == 1


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"epochs": 10}, FIXED),
        ({"shuffle": "maybe"}, "“Shuffle” (Trainer) cannot be “maybe”, so it starts from its default."),
        ({"labels": 5}, "“Labels” (Trainer) cannot be “5”, so it starts from its default."),
    ],
)
def test_what_the_form_cannot_show_of_a_text_is_told(
    written: dict[str, Any], told: str, owner: Client, shaped: RunTemplate, former: PipelineRun
) -> None:
    text = json.dumps(configuration(name="Ada", **written))
    page = owner.post(
        shaped.get_absolute_url(), {"view": "yaml", "yaml": text, "switch": "form", "version": "2"}
    ).text
    assert told in page


def test_what_the_editor_marked_is_marked_in_the_form(owner: Client, shaped: RunTemplate) -> None:
    text = json.dumps(configuration(rate=7, epochs=7, nmae="Ada"))
    page = owner.post(
        shaped.get_absolute_url(), {"view": "yaml", "yaml": text, "switch": "form", "version": "1"}
    ).text
    assert "The text had values that cannot be run" in page
    for field in ("rate", "epochs"):
        assert f'id="id_steps.trainer.parameters.{field}_error"' in page
    assert 'id="id_steps.trainer.parameters.name_error"' not in page  # it is still to be filled in
    assert "There is no &#x27;nmae&#x27; here" in page


@pytest.mark.parametrize("kind", ["knn", "5"])
def test_a_wrong_choice_goes_from_yaml_to_the_form_and_back(
    kind: str, owner: Client, shaped: RunTemplate, former: PipelineRun
) -> None:
    text = json.dumps(configuration(name="Ada", kind=kind))
    address = shaped.get_absolute_url()
    form = owner.post(address, {"view": "yaml", "yaml": text, "switch": "form", "version": "2"}).text
    data = sent(form)
    assert data[KIND] == kind
    data["switch"] = "yaml"
    assert f'"kind": "{kind}"' in owner.post(address, data).text.replace("&quot;", '"')


def test_nothing_is_chosen_where_a_choice_was_taken_back(
    owner: Client, shaped: RunTemplate, former: PipelineRun
) -> None:
    text = json.dumps(configuration(name="Ada", kind=None))
    form = owner.post(
        shaped.get_absolute_url(), {"view": "yaml", "yaml": text, "switch": "form", "version": "2"}
    ).text
    assert sent(form)[KIND] == ""
