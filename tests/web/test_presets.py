"""Presets on the page of a template: saved from the form, chosen, told when they no longer fit, deleted."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from runs_app.models import PipelineRun
from runs_app.presets import create_preset
from templates_app.models import Preset, RunTemplate
from tests.factories import launch
from tests.runs.test_presets_api import newer_version
from tests.web.test_links import KEY, MODEL, RATE, give, values
from zenweb.accounts.models import User


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


def save(pages: Client, template: RunTemplate, typed: dict[str, str], **more: str) -> Any:
    return pages.post(template.get_absolute_url(), {**typed, "do": "save-preset", **more})


def test_the_filled_form_is_saved_and_chosen_and_nothing_is_started(
    pages: Client, template: RunTemplate, bob: User
) -> None:
    answer = save(pages, template, {RATE: "0.75", MODEL: "svm"}, preset_name=" nightly & more ")
    preset = Preset.objects.get()
    assert (preset.name, preset.user, preset.is_shared) == ("nightly & more", bob, False)
    assert preset.configuration == values(learning_rate=0.75)
    page = pages.get(answer.url)
    assert f'name="{RATE}" value="0.75"' in page.text
    assert escape("The preset nightly & more is saved, without secrets. Nothing was started.") in page.text
    assert 'aria-current="true">nightly &amp; more' in page.text
    assert not PipelineRun.objects.exists()


def test_enter_in_the_field_of_the_name_saves_and_starts_nothing(
    pages: Client, template: RunTemplate
) -> None:
    pages.post(template.get_absolute_url(), {RATE: "0.75", "preset_name": "nightly"})
    assert Preset.objects.get().name == "nightly"
    assert not PipelineRun.objects.exists()


def test_the_button_that_runs_does_so_beside_the_name_of_a_preset(
    pages: Client, template: RunTemplate
) -> None:
    assert 'name="do" value="run"' in pages.get(template.get_absolute_url()).text
    answer = pages.post(template.get_absolute_url(), {RATE: "0.75", "preset_name": "nightly", "do": "run"})
    assert answer.url == PipelineRun.objects.get().get_absolute_url()
    assert not Preset.objects.exists()


def test_what_is_kept_beside_the_form_is_saved_too_but_for_the_name_of_the_run(
    pages: Client, template: RunTemplate
) -> None:
    rest = {"run_name": "once", "tags": ["a"], "steps": {"trainer": {"retry": {"max_retries": 2}}}}
    save(pages, template, {RATE: "0.75", "rest": json.dumps(rest)}, preset_name="nightly")
    kept = Preset.objects.get().configuration
    assert kept["tags"] == ["a"]
    assert kept["steps"]["trainer"] == {"retry": {"max_retries": 2}, "parameters": {"learning_rate": 0.75}}
    assert "run_name" not in kept


def test_a_secret_in_the_form_does_not_get_into_the_preset(pages: Client, template: RunTemplate) -> None:
    give(template, "key", {"type": "string", "format": "password", "writeOnly": True}, is_required=True)
    save(pages, template, {RATE: "0.75", KEY: "hush"}, preset_name="with key")
    save(pages, template, {RATE: "0.75", KEY: ""}, preset_name="without key")
    assert [preset.configuration for preset in Preset.objects.all()] == [values(learning_rate=0.75)] * 2


@pytest.mark.parametrize(
    ("typed", "name", "words"),
    [
        ({RATE: "0.5"}, "", "A name has between 1 and 255 characters"),
        ({RATE: "0.5"}, "taken", "You have a preset of this template called 'taken' already."),
        ({RATE: "0.5"}, "last-good", "Choose another name."),
        ({RATE: "2"}, "new", "This must be at most 1."),
        ({RATE: "fast"}, "new", "Enter a number."),
        ({RATE: ""}, "new", "Enter a number."),
    ],
)
def test_what_cannot_be_saved_comes_back_with_the_reason(
    pages: Client, template: RunTemplate, bob: User, typed: dict[str, str], name: str, words: str
) -> None:
    create_preset(actor=bob, template=template, name="taken")
    page = save(pages, template, typed, preset_name=name)
    assert page.status_code == 422
    assert escape(words) in page.text
    assert f'value="{name}"' in page.text
    assert Preset.objects.count() == 1


def test_a_preset_can_be_shared_with_everybody(pages: Client, template: RunTemplate, alice: User) -> None:
    save(pages, template, {RATE: "0.75"}, preset_name="ours", preset_shared="1")
    save(pages, template, {RATE: "0.25"}, preset_name="mine")
    elsewhere = Client()
    elsewhere.force_login(alice)
    page = elsewhere.get(template.get_absolute_url()).text
    assert "Shared by bob" in page
    assert "mine" not in page


def test_a_shared_preset_is_told_to_stand_behind_ones_own(
    pages: Client, template: RunTemplate, alice: User, bob: User
) -> None:
    create_preset(actor=alice, template=template, name="nightly", is_shared=True)
    assert "goes first" not in pages.get(template.get_absolute_url()).text
    create_preset(actor=bob, template=template, name="nightly", configuration=values(learning_rate=0.75))
    page = pages.get(template.get_absolute_url())
    assert "Shared by alice; yours of the same name goes first" in page.text
    assert page.text.count("?preset=nightly") == 2  # where one chooses, and in the list
    assert f'name="{RATE}" value="0.75"' in pages.get(f"{template.get_absolute_url()}?preset=nightly").text


def test_last_good_values_are_offered_once_there_are_some(
    pages: Client, template: RunTemplate, alice: User
) -> None:
    assert "Last good values" not in pages.get(template.get_absolute_url()).text
    launch(template, alice, values(learning_rate=0.75))
    PipelineRun.objects.update(status="completed")
    assert "?preset=last-good" in pages.get(template.get_absolute_url()).text
    assert f'name="{RATE}" value="0.75"' in pages.get(f"{template.get_absolute_url()}?preset=last-good").text


def test_a_preset_that_the_newest_version_does_not_take_says_why(
    pages: Client, template: RunTemplate, bob: User
) -> None:
    create_preset(actor=bob, template=template, name="wild", configuration=values(learning_rate=0.75))
    assert "does not take it" not in pages.get(template.get_absolute_url()).text
    newer_version(template, maximum=0.5)
    page = pages.get(template.get_absolute_url()).text
    assert "Version 2 does not take it" in page
    assert "“Learning rate” (Trainer): This must be at most 0.5." in page


def test_a_preset_is_deleted_by_its_owner_only(
    pages: Client, template: RunTemplate, alice: User, bob: User
) -> None:
    own = create_preset(actor=bob, template=template, name="own")
    alices = create_preset(actor=alice, template=template, name="alices", is_shared=True)
    hidden = create_preset(actor=alice, template=template, name="hidden")
    assert pages.post(reverse("preset-delete", args=[template.id, own.id])).url == template.get_absolute_url()
    refused = pages.post(reverse("preset-delete", args=[template.id, alices.id]), follow=True)
    assert "Only the owner of the preset" in refused.text
    assert pages.post(reverse("preset-delete", args=[template.id, hidden.id])).status_code == 404
    assert set(Preset.objects.all()) == {alices, hidden}


def test_a_button_that_is_not_ours_only_looks(pages: Client, template: RunTemplate) -> None:
    page = pages.post(template.get_absolute_url(), {RATE: "2", "do": "add a row"})
    assert page.status_code == 200
    assert f'name="{RATE}" value="2"' in page.text
    assert "at most 1." not in page.text
    assert not PipelineRun.objects.exists()


def test_presets_are_in_the_admin(client: Client, stacks: object, template: RunTemplate, bob: User) -> None:
    preset = create_preset(actor=bob, template=template, name="nightly", is_shared=True)
    client.force_login(User.objects.get(username="admin"))
    assert "nightly" in client.get(reverse("admin:templates_app_preset_changelist")).text
    client.post(reverse("admin:templates_app_preset_delete", args=[preset.pk]), {"post": "yes"})
    assert not Preset.objects.exists()
