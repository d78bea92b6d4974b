"""What was typed into a form outlives the session: it comes back to its author, and to nobody else."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from runs_app.models import PipelineRun
from templates_app.models import PipelineDeployment, RunTemplate
from tests.runs.test_presets_api import newer_version
from tests.web.test_links import KEY, MODEL, RATE, give
from tests.web.test_yaml import inputs_of, text_of
from zenweb.accounts import interrupted_forms
from zenweb.accounts.models import BrowserSession, User

PASSWORD = {"alice": "alice has a long password", "bob": "bob has a long password"}
SECRET = {"type": "string", "format": "password", "writeOnly": True}
BACK = "What you had filled in is here again"


@pytest.fixture
def browser(bob: User) -> Client:
    """Bob's, whose session will end while he fills in a form."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(bob)
    return browser


def hidden(page: Any, name: str) -> str:
    found = re.search(f'name="{name}" value="([^"]*)"', page.text)
    assert found, f"The page has no input {name}."
    return found[1]


def fill(browser: Client, template: RunTemplate, **more: str) -> dict[str, str]:
    """What the form sends, as it was shown to whoever is signed in."""
    page = browser.get(template.get_absolute_url())
    own = {
        name: hidden(page, name) for name in ("csrfmiddlewaretoken", "filled_by", "submit_token", "version")
    }
    return own | {RATE: "0.75", MODEL: "rf"} | more


def send_after_the_session(
    browser: Client, template: RunTemplate, values: dict[str, str], query: str = ""
) -> Any:
    BrowserSession.objects.all().delete()
    return browser.post(template.get_absolute_url() + query, values)


def sign_in(browser: Client, page: Any, name: str, draft: str | None = None) -> Any:
    values = {
        "csrfmiddlewaretoken": hidden(page, "csrfmiddlewaretoken"),
        "next": hidden(page, "next"),
        "draft": hidden(page, "draft") if draft is None else draft,
        "username": name,
        "password": PASSWORD[name],
    }
    return browser.post(reverse("login"), values, follow=True)


def test_what_was_typed_comes_back_after_signing_in_and_nothing_was_started(
    browser: Client, template: RunTemplate
) -> None:
    page = send_after_the_session(browser, template, fill(browser, template))
    assert "You were signed out meanwhile" in page.text
    form = sign_in(browser, page, "bob")
    assert form.redirect_chain == [(template.get_absolute_url(), 302)]
    assert BACK in form.text
    assert f'name="{RATE}" value="0.75"' in form.text
    assert '<option value="rf" selected>' in form.text
    assert not PipelineRun.objects.exists()


def test_it_comes_back_once(browser: Client, template: RunTemplate) -> None:
    page = send_after_the_session(browser, template, fill(browser, template))
    sign_in(browser, page, "bob")
    again = browser.get(template.get_absolute_url())
    assert BACK not in again.text
    assert f'name="{RATE}" value="0.1"' in again.text


def test_wrong_values_come_back_as_they_were_without_complaints(
    browser: Client, template: RunTemplate
) -> None:
    page = send_after_the_session(browser, template, fill(browser, template) | {RATE: "a lot"})
    form = sign_in(browser, page, "bob")
    assert f'name="{RATE}" value="a lot"' in form.text
    assert 'id="error-summary"' not in form.text


def test_the_run_that_is_run_again_is_remembered(browser: Client, template: RunTemplate) -> None:
    query = "?preset=last-good"
    page = send_after_the_session(browser, template, fill(browser, template), query)
    form = sign_in(browser, page, "bob")
    assert form.redirect_chain == [(template.get_absolute_url() + query, 302)]
    assert f'name="{RATE}" value="0.75"' in form.text


def test_a_mistyped_password_loses_nothing(browser: Client, template: RunTemplate, monkeypatch: Any) -> None:
    page = send_after_the_session(browser, template, fill(browser, template))
    monkeypatch.setitem(PASSWORD, "bob", "wrong")
    refused = sign_in(browser, page, "bob")
    monkeypatch.undo()
    assert BACK in sign_in(browser, refused, "bob").text


def test_it_is_nobody_elses(browser: Client, template: RunTemplate, alice: User) -> None:
    page = send_after_the_session(browser, template, fill(browser, template))
    form = sign_in(browser, page, "alice")
    assert "somebody else had typed it" in form.text
    assert BACK not in form.text
    assert f'name="{RATE}" value="0.1"' in form.text


def test_secrets_are_not_in_it_and_are_asked_for_again(browser: Client, template: RunTemplate) -> None:
    give(template, "key", SECRET)
    give(template, "login", {"type": "object", "properties": {"password": SECRET}, "default": {}})
    secrets = {KEY: "hush-1", "steps.trainer.parameters.login": '{"password": "hush-2"}'}
    page = send_after_the_session(browser, template, fill(browser, template, **secrets))
    kept = str(signing.loads(hidden(page, "draft"), salt="zenweb.form-draft"))
    assert "hush" not in kept
    assert "csrf" not in kept
    form = sign_in(browser, page, "bob")
    assert "Type it again: secrets are not kept." in form.text
    assert not any("hush" in str(session.get_decoded()) for session in BrowserSession.objects.all())


def test_only_the_secret_of_a_kind_is_not_in_it(browser: Client, template: RunTemplate) -> None:
    postgres = {"type": "object", "properties": {"host": {"type": "string"}, "password": SECRET}}
    bucket = {"type": "object", "properties": {"url": {"type": "string"}}}
    give(template, "source", {"anyOf": [bucket, postgres]})
    source = "steps.trainer.parameters.source"
    typed = {f"{source}.~kind": "1", f"{source}.~1.~": "1", f"{source}.~1.host": "db"}
    page = send_after_the_session(
        browser, template, fill(browser, template, **typed, **{f"{source}.~1.password": "hush"})
    )
    assert "hush" not in str(signing.loads(hidden(page, "draft"), salt="zenweb.form-draft"))
    form = sign_in(browser, page, "bob")
    back = inputs_of(form)
    assert {name: back[name] for name in typed} == typed
    assert back[f"expected.{source}.~1.password"] == "1"


TEXT = "# mine\nrun_name: once\nsteps:\n  trainer:\n    parameters:\n      learning_rate: 0.75  # fast\n"


def fill_text(browser: Client, template: RunTemplate, text: str, **more: str) -> dict[str, str]:
    return fill(browser, template, view="yaml", yaml=text, everything="1", **more)


def test_the_text_of_the_yaml_view_comes_back_in_that_view(browser: Client, template: RunTemplate) -> None:
    page = send_after_the_session(browser, template, fill_text(browser, template, TEXT))
    form = sign_in(browser, page, "bob")
    assert BACK in form.text
    assert text_of(form) == TEXT
    assert inputs_of(form)["everything"] == "1"
    assert not PipelineRun.objects.exists()


def test_secrets_in_the_text_are_not_kept_and_are_asked_for_again(
    browser: Client, template: RunTemplate
) -> None:
    give(template, "key", SECRET)
    give(
        template, "login", {"type": "object", "properties": {"user": {"type": "string"}, "password": SECRET}}
    )
    text = f"{TEXT}      key: hush-1\n      login: {{user: ada, password: hush-2}}\n"
    page = send_after_the_session(browser, template, fill_text(browser, template, text))
    assert "hush" not in str(signing.loads(hidden(page, "draft"), salt="zenweb.form-draft"))
    form = sign_in(browser, page, "bob")
    assert "learning_rate: 0.75  # fast" in text_of(form)
    assert "user: ada" in text_of(form)
    assert inputs_of(form)["left_out"] == "/steps/trainer/parameters/login/password"
    assert inputs_of(form)[f"expected.{KEY}"] == "1"
    assert not any("hush" in str(session.get_decoded()) for session in BrowserSession.objects.all())


def test_a_secret_that_was_to_be_typed_again_still_is(browser: Client, template: RunTemplate) -> None:
    give(template, "key", SECRET)
    values = fill(browser, template) | {f"expected.{KEY}": "1", KEY: ""}
    form = sign_in(browser, send_after_the_session(browser, template, values), "bob")
    assert inputs_of(form)[f"expected.{KEY}"] == "1"


@pytest.mark.parametrize("has_secrets", [False, True])
def test_a_text_that_is_no_yaml_is_kept_where_no_secret_can_be_in_it(
    browser: Client, template: RunTemplate, *, has_secrets: bool
) -> None:
    if has_secrets:
        give(template, "key", SECRET)
    text = "steps: {trainer: {parameters: {key: hush"
    answer = send_after_the_session(browser, template, fill_text(browser, template, text))
    if has_secrets:
        assert answer.url.startswith(reverse("login"))
        return
    form = sign_in(browser, answer, "bob")
    assert text_of(form) == text
    assert 'id="error-summary"' not in form.text


def test_what_is_kept_beside_the_form_comes_back_without_secrets(
    browser: Client, template: RunTemplate
) -> None:
    give(template, "key", SECRET)
    parameters = {"parameters": {"key": "hush"}, "retry": {"max_retries": 2}}
    rest = {"tags": ["a"], "steps": {"trainer": parameters}}
    values = fill(browser, template, rest=json.dumps(rest), yaml=TEXT)
    page = send_after_the_session(browser, template, values)
    assert "hush" not in str(signing.loads(hidden(page, "draft"), salt="zenweb.form-draft"))
    sent = inputs_of(sign_in(browser, page, "bob"))
    assert json.loads(sent["rest"]) == {
        "tags": ["a"],
        "steps": {"trainer": {"parameters": {}, "retry": {"max_retries": 2}}},
    }
    assert sent["yaml"] == TEXT


@pytest.mark.parametrize(
    "filled_by",
    ["", "forged", signing.dumps("someone", salt="another purpose")],
    ids=["nobody", "forged", "signed for another purpose"],
)
def test_nothing_is_kept_for_a_form_that_was_shown_to_nobody(
    client: Client, template: RunTemplate, filled_by: str
) -> None:
    answer = client.post(template.get_absolute_url(), {RATE: "0.75", "filled_by": filled_by})
    assert answer.url.startswith(reverse("login"))
    assert not BrowserSession.objects.exists()


def test_nothing_is_stored_before_somebody_has_signed_in(browser: Client, template: RunTemplate) -> None:
    send_after_the_session(browser, template, fill(browser, template))
    assert not BrowserSession.objects.exists()


def test_a_huge_one_is_not_kept(browser: Client, template: RunTemplate) -> None:
    values = fill(browser, template) | {
        "steps.trainer.parameters.note": "x" * (interrupted_forms.DRAFT_LIMIT + 1)
    }
    assert send_after_the_session(browser, template, values).status_code == 302


def test_an_old_or_forged_draft_is_not_taken(
    browser: Client, template: RunTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = send_after_the_session(browser, template, fill(browser, template))
    draft = hidden(page, "draft")
    assert BACK not in sign_in(browser, page, "bob", draft=f"{draft[:-1]}x").text
    browser.logout()
    page = browser.get(reverse("login"), {"next": template.get_absolute_url()})
    monkeypatch.setattr(interrupted_forms, "DRAFT_AGE", timedelta(seconds=-1))
    assert BACK not in sign_in(browser, page, "bob", draft=draft).text


def test_one_that_nobody_came_back_for_is_forgotten(
    browser: Client, template: RunTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = send_after_the_session(browser, template, fill(browser, template))
    later = timezone.now() + interrupted_forms.DRAFT_AGE + timedelta(minutes=1)
    sign_in_only = {
        "csrfmiddlewaretoken": hidden(page, "csrfmiddlewaretoken"),
        "draft": hidden(page, "draft"),
        "username": "bob",
        "password": PASSWORD["bob"],
    }
    browser.post(reverse("login"), sign_in_only)
    monkeypatch.setattr("zenweb.accounts.interrupted_forms.timezone.now", lambda: later)
    assert BACK not in browser.get(template.get_absolute_url()).text


def test_nobody_can_be_made_to_sign_in_with_a_strangers_draft(browser: Client, template: RunTemplate) -> None:
    """A page elsewhere that sends the sign-in form for its visitor is refused like any form from elsewhere."""
    page = send_after_the_session(browser, template, fill(browser, template))
    elsewhere = Client(enforce_csrf_checks=True)
    values = {"draft": hidden(page, "draft"), "username": "bob", "password": PASSWORD["bob"]}
    assert elsewhere.post(reverse("login"), values).status_code == 403


def test_a_draft_of_an_older_version_says_that_there_is_a_newer_one(
    browser: Client, template: RunTemplate, deployment: PipelineDeployment
) -> None:
    page = send_after_the_session(browser, template, fill(browser, template))
    newer_version(template, maximum=0.9)
    assert "has become version 2" in sign_in(browser, page, "bob").text


def test_what_htmx_asks_for_after_the_session_is_led_to_the_sign_in_page(
    browser: Client, template: RunTemplate
) -> None:
    values = fill(browser, template) | {"do": "copy"}
    BrowserSession.objects.all().delete()
    answer = browser.post(template.get_absolute_url(), values, headers={"HX-Request": "true"})
    assert answer.url.startswith(reverse("login"))
