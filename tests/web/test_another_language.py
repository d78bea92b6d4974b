"""Pages in another language: every text of theirs is in its catalog, and only names, values and code are not."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from crispy_forms.utils import render_crispy_form
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.translation import trans_real

from runs_app import preparations, recording
from runs_app.models import PipelineRun, StepAttempt, Worker
from runs_app.presets import create_preset
from runs_app.recording import StepOutcome
from runs_app.schedules import create_schedule
from templates_app.models import RunTemplate, Stack
from templates_app.services import curate_run_template
from tests.factories import freeze, launch, make_template
from tests.pseudo_language import LANGUAGE, Catalog, untranslated
from tests.templates.corpus import CORPUS
from tests.templates.test_corpus import form_of
from tests.templates.test_nested_forms import schema_of
from tests.web.test_following_a_run import complete
from tests.web.test_running_a_template import RATE
from tests.web.test_shaping_a_form import DOCUMENT, sent
from zenweb.accounts.device_login import start_device_login
from zenweb.accounts.models import User
from zenweb.execution.protocol import StepException

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def another_language(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LANGUAGES = [("en", "English"), (LANGUAGE, "Marks")]
    monkeypatch.setitem(trans_real._translations, LANGUAGE, Catalog())


@pytest.fixture
def pages(alice: User) -> Client:
    """Alice, who reads that language."""
    client = Client(headers={"Accept-Language": LANGUAGE}, raise_request_exception=False)
    client.force_login(alice)
    return client


@pytest.fixture
def stranger() -> Client:
    return Client(headers={"Accept-Language": LANGUAGE})


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


@pytest.fixture
def shaped(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    template = make_template(freeze("shaped.asking_pipeline", alice, stacks["celery"]), alice, "shaped")
    return curate_run_template(actor=alice, template=template, curation=DOCUMENT)


def start(template: RunTemplate, actor: User, worker: Worker) -> tuple[PipelineRun, StepAttempt]:
    """A run whose first step a worker has taken."""
    run = launch(template, actor)
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    return run, attempt


def fail(attempt: StepAttempt) -> None:
    exception = StepException(type="ValueError", message="no data", traceback="Traceback: line 5")
    recording.record_end(attempt, StepOutcome(exception=exception))


def is_marked(answer: Any) -> bool:
    """Whether it speaks the other language, and nothing else."""
    assert "\n".join(untranslated(answer.text)) == ""
    return "⟦" in answer.text


def test_the_reader_finds_what_is_not_translated(db: None) -> None:
    page = '<p id="a">⟦One <b>two⟧</b> three</p><a title="four">⟦Five⟧</a> ZenWeb <code>six</code>'
    assert untranslated(page) == ["p#a: three", "a[title]: four"]


def test_a_page_says_which_language_it_is_in(stranger: Client, db: None) -> None:
    assert f'<html lang="{LANGUAGE}">' in stranger.get(reverse("login")).text
    assert '<html lang="en">' in stranger.get(reverse("login"), headers={"Accept-Language": "de"}).text


def test_signing_in(stranger: Client, alice: User) -> None:
    assert is_marked(stranger.get(reverse("login")))
    assert is_marked(stranger.post(reverse("login"), {"username": "alice", "password": "wrong"}))
    assert is_marked(stranger.post(reverse("login"), {}))


def test_ones_account(pages: Client, alice: User, template: RunTemplate) -> None:
    address = reverse("account")
    assert is_marked(pages.get(address))
    form = {"name": "ci", "access": "read", "days": "30", "templates": [str(template.pk)]}
    assert is_marked(pages.post(address, form))
    assert is_marked(pages.post(address, form))  # the name is taken
    assert is_marked(pages.post(address, form | {"name": "", "access": ""}))
    key = alice.api_keys.get()
    assert is_marked(pages.post(reverse("key-revoke", args=[key.pk]), follow=True))
    assert is_marked(pages.post(reverse("sessions-end"), follow=True))


def test_what_rest_is(pages: Client, alice: User) -> None:
    assert is_marked(pages.get(reverse("api-docs")))


def test_a_program_that_is_confirmed_and_one_that_nobody_started(pages: Client, alice: User) -> None:
    started = start_device_login(client_id="x", program="Linux", machine="", address="")
    sent = {"code": started.login.user_code}
    assert is_marked(pages.get(reverse("device-login")))
    assert is_marked(pages.get(reverse("device-login"), {"code": "x"}))
    assert is_marked(pages.get(reverse("device-login"), sent))
    assert is_marked(pages.post(reverse("device-login"), sent | {"do": "confirm"}))
    for _ in range(12):
        answer = pages.get(reverse("device-login"), {"code": "x"})
    assert is_marked(answer)


@pytest.mark.parametrize("name", ["run-template-list", "run-list", "pipeline-list", "pipeline-run"])
def test_lists(pages: Client, request: pytest.FixtureRequest, name: str) -> None:
    assert is_marked(pages.get(reverse(name)))  # empty
    template, alice = request.getfixturevalue("template"), request.getfixturevalue("alice")
    for _ in range(30):
        launch(template, alice)
    assert is_marked(pages.get(reverse(name)))
    assert is_marked(pages.get(reverse(name), {"q": "nowhere"}))


def test_errors(pages: Client, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_marked(pages.get("/nowhere/"))
    assert is_marked(pages.get("/templates/", headers={"Host": "elsewhere"}))
    strict = Client(enforce_csrf_checks=True, headers={"Accept-Language": LANGUAGE})
    strict.force_login(alice)
    assert is_marked(strict.post(reverse("logout")))
    monkeypatch.setattr("templates_app.views.Paginator", None)
    broken = pages.get(reverse("run-template-list"))
    assert (broken.status_code, is_marked(broken)) == (500, True)


def test_a_form_that_is_shown_refused_and_asked_what_would_happen(
    pages: Client, shaped: RunTemplate, worker: Worker
) -> None:
    address = shaped.get_absolute_url()
    assert is_marked(pages.get(address))
    refused = pages.post(address, {"steps.trainer.parameters.rate": "much", "version": "0"})
    assert (refused.status_code, is_marked(refused)) == (422, True)
    assert is_marked(pages.post(address, {"do": "look-ahead"}))
    assert is_marked(pages.get(address, {"steps.trainer.parameters.rate": "x", "nothing": "1"}))


def test_what_would_happen(pages: Client, template: RunTemplate, alice: User, worker: Worker) -> None:
    address = template.get_absolute_url()
    assert is_marked(pages.post(address, {RATE: "0.5", "do": "look-ahead"}, headers=HTMX))
    start(template, alice, worker)
    assert is_marked(pages.post(address, {RATE: "0.5", "do": "look-ahead"}, headers=HTMX))
    PipelineRun.objects.update(status="completed", end_time=datetime.now(UTC))
    assert is_marked(pages.post(address, {RATE: "0.5", "do": "look-ahead"}, headers=HTMX))


@pytest.mark.parametrize("name", CORPUS)
def test_every_kind_of_field(db: None, name: str) -> None:
    with translation.override(LANGUAGE):
        form = form_of(name)
        page = str(render_crispy_form(form))
        wrong = re.findall(r'name="(steps[^"]*)"', page)
        refused = form_of(name, QueryDict(urlencode(dict.fromkeys(wrong, "?"))))
        data = schema_of(CORPUS[name][0]), form.configuration
        assert "\n".join(untranslated(page, *data)) == ""
        assert "\n".join(untranslated(str(render_crispy_form(refused)), *data)) == ""


def test_the_yaml_view(pages: Client, template: RunTemplate) -> None:
    address = template.get_absolute_url()
    assert is_marked(pages.get(address, {"view": "yaml"}))
    text = "steps:\n  trainer:\n    parameters:\n      learning_rate: much\n"
    assert is_marked(pages.post(address, {"view": "yaml", "yaml": text, "do": "run"}))
    assert is_marked(pages.post(address, {"view": "yaml", "yaml": "run_name: x", "switch": "form"}))


def test_presets_copies_and_values_of_an_earlier_run(
    pages: Client, template: RunTemplate, alice: User, bob: User
) -> None:
    address = template.get_absolute_url()
    values = {"steps": {"trainer": {"parameters": {"learning_rate": 0.5}}}}
    create_preset(actor=bob, template=template, name="nightly", configuration=values, is_shared=True)
    assert is_marked(pages.post(address, {RATE: "0.75", "do": "copy"}))
    assert is_marked(
        pages.post(address, {RATE: "0.75", "do": "save-preset", "preset_name": "nightly"}, follow=True)
    )
    assert is_marked(pages.post(address, {"do": "save-preset", "preset_name": "a/b"}))
    run = launch(template, alice, values)
    assert is_marked(pages.get(address, {"from": run.pk}))
    assert is_marked(pages.post(address, {RATE: "0.75", "do": "compare"}, headers=HTMX))
    assert is_marked(pages.get(reverse("run-copy", args=[run.pk])))


def test_schedules(pages: Client, template: RunTemplate, alice: User) -> None:
    create_schedule(actor=alice, template=template, name="nightly", cron="30 2 * * MON-FRI", zone="UTC")
    assert is_marked(pages.get(template.get_absolute_url()))
    RunTemplate.objects.update(is_enabled=False)
    assert is_marked(pages.get(template.get_absolute_url()))


def test_choices(
    pages: Client, stacks: dict[str, Stack], alice: User, worker: Worker, monkeypatch: Any
) -> None:
    monkeypatch.setattr("runs_app.launching.CHOICES_WAIT", 0.0)
    monkeypatch.setattr("runs_app.launching.FIRST_WAIT", 0.0)
    template = make_template(freeze("chosen.table_pipeline", alice, stacks["celery"]), alice, "tables")
    assert is_marked(pages.get(template.get_absolute_url()))
    many = [(f"t{number}", f"t{number}") for number in range(300)]
    while (claimed := preparations.claim(worker, ["default"])) is not None:
        preparations.record_answer(claimed, many, "")
    assert is_marked(pages.get(template.get_absolute_url()))
    refused = pages.post(template.get_absolute_url(), {"steps.load.parameters.table": "t999"})
    assert refused.status_code == 422
    assert "\n".join(untranslated(refused.text, "t999")) == ""


def test_a_run_that_waits_runs_and_fails(
    pages: Client, template: RunTemplate, alice: User, worker: Worker
) -> None:
    run, attempt = start(template, alice, worker)
    assert is_marked(pages.get(run.get_absolute_url()))
    waiting = launch(template, alice)
    Worker.objects.all().update(queues=["other"])
    assert is_marked(pages.get(waiting.get_absolute_url()))
    fail(attempt)
    failed = pages.get(run.get_absolute_url())
    assert "no data" in failed.text
    assert is_marked(failed)


def test_a_run_with_results(pages: Client, template: RunTemplate, alice: User, worker: Worker) -> None:
    run, attempt = start(template, alice, worker)
    table = b'{"columns": ["city"], "rows": [["Bern"]], "total_rows": 900, "total_columns": 2}'
    complete(attempt, "table", "preview.json", table)
    PipelineRun.objects.update(status="completed", end_time=datetime.now(UTC))
    shown = pages.get(run.get_absolute_url())
    assert "900" in shown.text
    assert "\n".join(untranslated(shown.text, "city", "Bern")) == ""


def test_a_repair(pages: Client, template: RunTemplate, alice: User, worker: Worker) -> None:
    run, attempt = start(template, alice, worker)
    fail(attempt)
    assert is_marked(pages.get(reverse("run-repair", args=[run.pk])))
    assert is_marked(pages.post(reverse("run-repair", args=[run.pk]), {RATE: "much"}))


def test_a_new_template(pages: Client, template: RunTemplate, alice: User) -> None:
    address = reverse("run-new-template", args=[launch(template, alice).pk])
    assert is_marked(pages.get(address))
    assert is_marked(pages.post(address, {"name": template.name, "update": ""}))
    assert is_marked(pages.post(address, {"name": ""}))
    assert is_marked(pages.post(address, {"name": "another"}, follow=True))


def test_shaping_a_form(pages: Client, shaped: RunTemplate) -> None:
    address = reverse("run-template-form", args=[shaped.pk])
    assert is_marked(pages.get(address))
    filled = sent(pages, shaped)
    wrong = {**filled, "trainer.rate:maximum": ["much"], "trainer.epochs:minimum": ["9"], "do": "save"}
    assert is_marked(pages.post(address, wrong))
    assert is_marked(pages.post(address, {**filled, "do": "add-section"}))
    assert is_marked(pages.post(address, {**filled, "do": "save"}, follow=True))


def test_what_is_stored_is_in_the_servers_own_language(
    pages: Client, template: RunTemplate, alice: User
) -> None:
    RunTemplate.objects.update(max_concurrent_runs=1)
    for _ in range(2):
        pages.post(template.get_absolute_url(), {RATE: "0.5"})
    waiting = PipelineRun.objects.latest("index")
    stored = [waiting.status_reason, *waiting.events.values_list("sentence", flat=True)]
    assert waiting.status_reason.startswith("It waits for its turn")
    assert not [sentence for sentence in stored if "⟦" in sentence]


def test_values_in_inputs_stay_as_programs_write_them(pages: Client, template: RunTemplate) -> None:
    assert f'name="{RATE}" value="0.1"' in pages.get(template.get_absolute_url()).text


def test_the_elements_of_a_mapped_step(
    pages: Client, stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    mapped = make_template(freeze("mapped.literal_pipeline", alice, stacks["celery"]), alice, "mapped")
    run, attempt = start(mapped, alice, worker)
    fail(attempt)
    assert is_marked(pages.get(run.get_absolute_url()))
    step = run.steps.get(name="train")
    assert is_marked(pages.get(reverse("step-elements", args=[step.pk])))
