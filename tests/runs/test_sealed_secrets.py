"""Secrets at rest: in clear nowhere in the database, in what steps print, in logs; opened for the step's process."""

import gzip
import json
import logging
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from runs_app.logs import read_attempt_log
from runs_app.models import IdempotencyRecord, PipelineRun, Schedule, StepAttempt, StepRun
from runs_app.repair import known_parameters
from runs_app.resealing import key_hashes, reseal, seal_hashes
from runs_app.schedules import create_schedule, fire_due_schedules, update_schedule
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from templates_app.services import create_run_template, delete_run_template
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.exceptions import SecretUnreadable, ValidationFailed
from zenweb.execution.masking import Mask
from zenweb.sealing import keyed_hash, opened, seal

API = "/api/v1"
SECRET, PASSWORD = 'correct horse ✓ battery"staple', "swordfish-4711"
TOKEN = "steps.tells.parameters.token"
transactional = pytest.mark.django_db(transaction=True)


@pytest.fixture
def secretive(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("secretive.secretive_pipeline", alice, stacks["celery"]), alice, "secretive")


def values(token: str = SECRET, **parameters: Any) -> dict[str, Any]:
    return {"steps": {"tells": {"parameters": {"token": token, **parameters}}}}


def post(rest: Client, path: str, body: Any, **headers: str) -> Any:
    answer = rest.post(f"{API}{path}", json.dumps(body), content_type="application/json", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def everything_stored(folder: Path) -> Iterator[tuple[str, str]]:
    """Every column of every table, and every file below the folder, unpacked."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608  # a table's name from the models
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    content = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                    yield f"{table}.{name}", _readable(content)
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), _readable(path.read_bytes())


def _readable(content: bytes) -> str:
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    return content.decode("utf-8", "replace")


def places_of(secret: str, folder: Path) -> set[str]:
    """Where it stands: as it is, or as it stands in JSON or in Python."""
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], secret[:12]}
    return {place for place, text in everything_stored(folder) if any(form in text for form in forms)}


@transactional
def test_a_secret_is_in_clear_nowhere_whatever_channel_it_came_through(
    secretive: RunTemplate,
    alice: User,
    rest: Client,
    client: Client,
    worker: StepWorker,
    own_data_folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    logins = {"login": {"user": "ada", "password": PASSWORD}, "tokens": [PASSWORD, SECRET]}
    client.force_login(alice)
    page = secretive.get_absolute_url()
    # Pages: the form, YAML, one that is refused, one that is kept over a sign-in.
    client.post(page, {TOKEN: SECRET, "steps.tells.parameters.how": "loudly"})
    client.post(page, {"view": "yaml", "yaml": json.dumps(values(how="failing"))})
    assert client.post(page, {TOKEN: SECRET, "steps.tells.parameters.times": "0"}).status_code == 422
    Client().post(page, {TOKEN: SECRET, "steps.tells.parameters.how": "x"})
    # REST: a run, asked for twice; many; a deployment; a snapshot; what is only judged; a preset.
    for _ in "ab":
        post(rest, "/run_templates/secretive/runs", values(**logins), **{"Idempotency-Key": "k"})
    post(rest, "/run_templates/secretive/runs/bulk", {"runs": [{"configuration": values(how="x")}]})
    post(rest, f"/pipeline_deployments/{secretive.deployment.pk}/runs", values(how="deployment"))
    post(rest, "/pipeline_snapshots/secretive/runs", {"run_configuration": values(how="snapshot")})
    post(rest, "/run_templates/secretive/validate", values())
    post(rest, "/run_templates/secretive/runs?dry_run=true", values())
    post(rest, "/run_templates/secretive/presets", {"name": "mine", "configuration": values(how="preset")})
    post(rest, "/run_templates/secretive/runs", {"preset": "mine", **values()})
    # A schedule that fires.
    create_schedule(actor=alice, template=secretive, name="hourly", cron="0 * * * *", configuration=values())
    Schedule.objects.update(next_time=timezone.now() - timedelta(minutes=1))
    fire_due_schedules()
    worker.run_ready_steps("default")
    # A repair over REST and on its page.
    failed = PipelineRun.objects.filter(status="failed").first()
    assert failed is not None
    post(rest, f"/runs/{failed.pk}/repair", {"configuration": {}})
    client.post(
        reverse("run-repair", args=[failed.pk]), {"from": "", TOKEN: "", "steps.tells.parameters.how": "x"}
    )
    worker.run_ready_steps("default")
    runs = list(PipelineRun.objects.all())
    assert len(runs) == 10
    assert all(run.is_finished for run in runs)
    assert {run.opened_parameters["tells"]["token"] for run in runs} == {SECRET}
    assert {run.status for run in runs} == {"completed", "failed"}
    # Look everywhere.
    for secret in (SECRET, PASSWORD):
        assert places_of(secret, own_data_folder) == set()
        assert secret not in caplog.text
    for route in ("runs", "steps", "schedules", "artifact_versions"):
        told = rest.get(f"{API}/{route}?hydrate=true&size=100").text
        assert not any(text in told for text in (SECRET, json.dumps(SECRET)[1:-1], PASSWORD, "zenweb-sealed"))
    for run in runs:
        seen = client.get(run.get_absolute_url()).text
        assert not any(text in seen for text in (SECRET[:12], PASSWORD, "zenweb-sealed"))


@transactional
def test_what_a_step_tells_of_its_secret_is_masked(
    secretive: RunTemplate, alice: User, worker: StepWorker, rest: Client
) -> None:
    run = launch(secretive, alice, values(how="loudly"))
    worker.run_ready_steps("default")
    step = StepRun.objects.get(run=run)
    log = rest.get(f"{API}/steps/{step.pk}/logs").json()
    assert "the token is ••••••; in JSON ['••••••']\n••••••\n" in log
    assert step.metadata == {"token": "••••••", "all": ["••••••", {"••••••": 1}]}
    run = launch(secretive, alice, values(how="failing"))
    worker.run_ready_steps("default")
    step = StepRun.objects.get(run=run)
    assert step.exception["message"] == "•••••• was refused"
    assert "ValueError: •••••• was refused" in step.exception["traceback"]
    assert rest.get(f"{API}/steps/{step.pk}/logs").json().endswith(step.exception["traceback"])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_secret_is_masked_however_it_is_cut(size: int) -> None:
    mask = Mask(["abcabd", "one\ntwo lines long\nthree", "x"])
    printed = b"abcabcabd|abcab|ab|two lines long|x|abcabd"
    pieces = [mask.feed(printed[start : start + size]) for start in range(0, len(printed), size)]
    told = b"".join([*pieces, mask.rest()]).decode()
    assert told == "abc••••••|abcab|ab|••••••|x|••••••"
    assert mask.rest() == b""


@pytest.mark.parametrize("size", [1, 4, 5, 6, 9, 100])
def test_a_secret_that_a_longer_one_begins_with_or_has_in_it_hides_nothing_of_it(size: int) -> None:
    mask = Mask(["admin", "admin:hunter2@db", "ter2@d", "hunter2@"])
    printed = b"admin:hunter2@db admin:hunter admin:hunter2@ admin"
    pieces = [mask.feed(printed[start : start + size]) for start in range(0, len(printed), size)]
    told = b"".join([*pieces, mask.rest()]).decode()
    assert told == "•••••• ••••••:hunter ••••••:•••••• ••••••"


@pytest.mark.parametrize("secret", ["hunter2\n", "\r\n hunter2", "hunter2"])
def test_a_secret_of_one_line_is_masked_without_its_end_of_line(secret: str) -> None:
    assert Mask([secret]).text("<hunter2>") == "<••••••>"


def test_short_lines_of_a_longer_secret_stay() -> None:
    """They stand in every other word."""
    assert Mask(["begin\nc2VjcmV0\nend"]).text("begin c2VjcmV0") == "begin ••••••"


def test_a_long_secret_is_masked_as_a_whole() -> None:
    secret = "".join(f"{number:06}" for number in range(3000))
    mask = Mask([secret])
    told = mask.feed(f"<{secret}>".encode()) + mask.rest()
    assert set(told.decode()) == {"<", "•", ">"}


def test_a_cache_key_does_not_tell_the_secret_and_finds_the_same(
    secretive: RunTemplate, alice: User, settings: Any
) -> None:
    first, same, other = (launch(secretive, alice, values(token)) for token in ("one1", "one1", "two2"))
    keys = [StepRun.objects.get(run=run).cache_key for run in (first, same, other)]
    assert keys[0] == keys[1] != keys[2]
    settings.ENCRYPTION_KEYS = ["another key"]
    by_another = launch(secretive, alice, values("one1"))
    assert StepRun.objects.get(run=by_another).cache_key not in keys


def test_a_sealed_value_is_of_use_in_its_own_row_only(
    secretive: RunTemplate, alice: User, rest: Client
) -> None:
    run = launch(secretive, alice, values())
    stolen = run.parameters["tells"]["token"]
    with pytest.raises(SecretUnreadable):
        opened(stolen, uuid.uuid4())
    for parameters in ({"token": stolen}, {"token": "x", "how": stolen}):
        body = {"steps": {"tells": {"parameters": parameters}}}
        refused = rest.post(
            f"{API}/run_templates/secretive/runs", json.dumps(body), content_type="application/json"
        )
        assert refused.status_code == 422
        assert "cannot be given" in refused.json()["errors"][0]["message"]


def test_the_same_secret_is_never_stored_as_the_same_text() -> None:
    row = uuid.uuid4()
    assert seal("hush", row) != seal("hush", row)
    assert opened([seal({"a": 1.5}, row), seal(None, row), "x"], row) == [{"a": 1.5}, None, "x"]


def ask(rest: Client, body: Any, template: str = "secretive") -> Any:
    return rest.post(
        f"{API}/run_templates/{template}/runs",
        json.dumps(body),
        content_type="application/json",
        headers={"Idempotency-Key": "k"},
    )


def test_a_repeat_is_known_by_its_body_when_its_key_was_given_up(
    secretive: RunTemplate, rest: Client, settings: Any
) -> None:
    first = ask(rest, values()).json()["id"]
    settings.ENCRYPTION_KEYS = ["newer", *settings.ENCRYPTION_KEYS]
    assert ask(rest, values()).json()["id"] == first
    call_command("seal_secrets")
    settings.ENCRYPTION_KEYS = ["newer"]
    assert ask(rest, values()).json()["id"] == first
    refused = ask(rest, values("another"))
    assert (refused.status_code, "with another body" in refused.text) == (422, True)
    assert PipelineRun.objects.count() == 1


def test_a_repeat_whose_key_is_lost_is_not_called_another_body(
    secretive: RunTemplate, rest: Client, settings: Any
) -> None:
    run = ask(rest, values()).json()["name"]
    settings.ENCRYPTION_KEYS = ["newest"]
    refused = ask(rest, values())
    assert refused.status_code == 422
    assert f"for run {run}. Whether with this body cannot be told" in refused.json()["detail"][1]
    assert PipelineRun.objects.count() == 1


def test_a_repeat_without_secrets_needs_no_key(template: RunTemplate, rest: Client, settings: Any) -> None:
    first = ask(rest, {}, template.name).json()["id"]
    settings.ENCRYPTION_KEYS = ["newest"]
    assert ask(rest, {}, template.name).json()["id"] == first


@pytest.mark.parametrize("kept", [lambda digest: digest, keyed_hash])
def test_a_repeat_is_known_that_was_kept_before_hashes_were_sealed(
    secretive: RunTemplate, rest: Client, kept: Callable[[str], str]
) -> None:
    first = ask(rest, values()).json()["id"]
    record = IdempotencyRecord.objects.get()
    digest = opened(record.body_hash, record.run_id)
    IdempotencyRecord.objects.update(body_hash=kept(digest))
    assert ask(rest, values()).json()["id"] == first
    seal_hashes(apps.get_model)
    record.refresh_from_db()
    assert opened(record.body_hash, record.run_id) == kept(digest)
    assert ask(rest, values()).json()["id"] == first


@transactional
def test_a_key_that_is_lost_is_told_in_a_sentence(
    secretive: RunTemplate,
    alice: User,
    rest: Client,
    client: Client,
    worker: StepWorker,
    settings: Any,
    caplog: Any,
) -> None:
    run = launch(secretive, alice, values())
    create_schedule(actor=alice, template=secretive, name="hourly", cron="0 * * * *", configuration=values())
    settings.ENCRYPTION_KEYS = ["another key"]
    worker.run_ready_steps("default")
    run.refresh_from_db()
    assert run.status == "failed"
    told = StepRun.objects.get(run=run).exception
    assert "sealed with the key" in told["message"]
    assert (told["traceback"], "Traceback" in caplog.text) == ("", False)
    body = json.dumps({"configuration": {}})
    refused = rest.post(f"{API}/runs/{run.pk}/repair", body, content_type="application/json")
    assert (refused.status_code, "sealed with the key" in refused.json()["detail"][1]) == (422, True)
    client.force_login(alice)
    page = client.get(reverse("run-repair", args=[run.pk]), follow=True)
    assert (page.status_code, "sealed with the key" in page.text) == (200, True)
    Schedule.objects.update(next_time=timezone.now() - timedelta(minutes=1))
    fire_due_schedules()
    assert "sealed with the key" in Schedule.objects.get().firings.get().refusal


def test_a_secret_is_sealed_wherever_the_schema_says_that_it_is_one(
    secretive: RunTemplate, alice: User
) -> None:
    """Not only where the SDK writes that."""
    deployment = secretive.deployment
    parameters = deployment.config_schema["properties"]["steps"]["properties"]["tells"]["properties"][
        "parameters"
    ]
    hint = {"writeOnly": True}
    parameters["allOf"] = [{"properties": {"how": hint}}, {"$ref": "#/$defs/more"}]
    deployment.config_schema.setdefault("$defs", {})["more"] = {"properties": {"times": hint}}
    deployment.save()
    run = launch(secretive, alice, values(how="hush", times=7))
    stored = run.parameters["tells"]
    assert all(str(stored[name]).startswith("zenweb-sealed:") for name in ("token", "how", "times"))
    assert (run.opened_parameters["tells"]["how"], run.opened_parameters["tells"]["times"]) == ("hush", 7)


def fire(schedule: Schedule) -> str:
    """Why it made no run."""
    Schedule.objects.filter(pk=schedule.pk).update(next_time=timezone.now() - timedelta(minutes=1))
    fire_due_schedules()
    return schedule.firings.latest("pk").refusal


@transactional
def test_a_schedule_gives_no_secret_to_a_version_that_would_show_it(
    secretive: RunTemplate, alice: User, rest: Client, stacks: dict[str, Stack], own_data_folder: Path
) -> None:
    given = values(login={"user": "ada", "password": PASSWORD}, tokens=[PASSWORD])
    schedule = create_schedule(
        actor=alice, template=secretive, name="hourly", cron="0 * * * *", configuration=given
    )
    assert fire(schedule) == ""
    later = freeze("secretive_no_more.secretive_pipeline", alice, stacks["celery"])
    create_run_template(actor=alice, name="secretive", deployment=later, update=True)
    assert fire(schedule).count("was given a secret here") == 3
    findings = rest.get(f"{API}/run_templates/secretive/check").json()["findings"]
    [told] = [each for each in findings if each["part"] == "schedules"]
    assert (told["verdict"], "was given a secret here" in told["sentence"]) == ("failed", True)
    with pytest.raises(ValidationFailed, match="/configuration/steps/tells/parameters/login/password: "):
        update_schedule(actor=alice, schedule=schedule, is_paused=False)
    assert PipelineRun.objects.count() == 1
    shown = rest.get(f"{API}/schedules/hourly").json()["metadata"]["configuration"]
    assert shown["steps"]["tells"]["parameters"]["token"] == "••••••"
    assert places_of(SECRET, own_data_folder) == places_of(PASSWORD, own_data_folder) == set()
    update_schedule(actor=alice, schedule=schedule, configuration=values("in the open"))
    assert fire(schedule) == ""


def in_clear(run: PipelineRun, schedule: Schedule) -> None:
    """As versions before this one have stored them."""
    for row in (run, schedule):
        row.configuration = values()
    run.resolved_configuration = opened(run.resolved_configuration, run.pk)
    run.save()
    schedule.save()
    run.steps.update(parameters=values()["steps"]["tells"]["parameters"], cache_key="f" * 64)


def test_what_was_stored_in_clear_works_and_is_sealed_by_the_migration(
    secretive: RunTemplate, alice: User, own_data_folder: Path
) -> None:
    run = launch(secretive, alice, values())
    schedule = create_schedule(
        actor=alice, template=secretive, name="hourly", cron="0 * * * *", configuration=values()
    )
    in_clear(run, schedule)
    assert places_of(SECRET, own_data_folder)
    assert run.opened_parameters["tells"]["token"] == SECRET
    reseal(apps.get_model)
    key_hashes(apps.get_model)
    assert places_of(SECRET, own_data_folder) == set()
    run.refresh_from_db()
    schedule.refresh_from_db()
    step = run.steps.get()
    assert run.opened_parameters["tells"]["token"] == opened(step.parameters, run.pk)["token"] == SECRET
    assert opened(schedule.configuration, schedule.pk) == values()
    assert len(step.cache_key) == 64
    assert step.cache_key != "f" * 64
    assert reseal(apps.get_model).changed == 0


def test_a_schedule_whose_template_is_gone_keeps_no_secret(
    secretive: RunTemplate, alice: User, own_data_folder: Path, settings: Any, capsys: Any
) -> None:
    """Nobody can tell what was one, and it never runs again."""
    schedule = create_schedule(
        actor=alice, template=secretive, name="hourly", cron="0 * * * *", configuration=values()
    )
    Schedule.objects.update(configuration=values(login={"user": "ada", "password": seal("x", schedule.pk)}))
    delete_run_template(actor=alice, template=secretive)
    settings.ENCRYPTION_KEYS = ["another key"]
    call_command("seal_secrets")
    told = capsys.readouterr().out
    assert "1 schedules whose template was deleted have no values any more" in told
    assert places_of(SECRET, own_data_folder) == set()
    assert Schedule.objects.get().configuration == {}
    call_command("seal_secrets")
    assert "template was deleted" not in capsys.readouterr().out


def test_a_key_can_be_changed_and_given_up(
    secretive: RunTemplate, alice: User, settings: Any, capsys: Any
) -> None:
    old = list(settings.ENCRYPTION_KEYS)
    run = launch(secretive, alice, values())
    schedule = create_schedule(
        actor=alice, template=secretive, name="hourly", cron="0 * * * *", configuration=values()
    )
    settings.ENCRYPTION_KEYS = ["new"]
    with pytest.raises(CommandError, match="2 runs and schedules have secrets whose key is not here"):
        call_command("seal_secrets")
    settings.ENCRYPTION_KEYS = ["new", *old]
    call_command("seal_secrets")
    assert "2 runs and schedules were sealed" in capsys.readouterr().out
    settings.ENCRYPTION_KEYS = ["new"]
    run.refresh_from_db()
    schedule.refresh_from_db()
    assert run.opened_parameters["tells"]["token"] == SECRET
    assert opened(schedule.configuration, schedule.pk) == values()


def test_what_a_run_of_the_local_stack_tells_is_masked_as_well(
    alice: User, rest: Client, stacks: dict[str, Stack], own_data_folder: Path
) -> None:
    deployment = freeze("secretive.secretive_pipeline", alice, stacks["default"])
    run = post(rest, f"/pipeline_deployments/{deployment.pk}/runs", values())
    told = post(rest, f"/runs/{run['id']}/steps/tells/start", {})
    assert told["parameters"]["token"] == SECRET
    exception = {"type": "E", "message": SECRET, "traceback": f"…{SECRET}"}
    post(
        rest,
        f"/runs/{run['id']}/steps/tells/progress",
        {"attempt": 1, "log": SECRET, "step_metadata": {"a": SECRET}},
    )
    end = {
        "attempt": 1,
        "piece": 1,
        "status": "failed",
        "exception": exception,
        "log": SECRET,
        "step_metadata": {"a": SECRET},
    }
    post(rest, f"/runs/{run['id']}/steps/tells/end", end)
    assert read_attempt_log(StepAttempt.objects.get()) == "••••••" * 2
    assert places_of(SECRET, own_data_folder) == set()
    assert not IdempotencyRecord.objects.exists()


def test_a_part_of_a_value_that_is_no_secret_any_more_is_not_taken_over(
    template: RunTemplate, alice: User
) -> None:
    """Another part of it still is one: the value as a whole looks as secret as before."""
    word = {"type": "string", "format": "password", "writeOnly": True}
    parts = {"user": word, "password": word}
    deployment = template.deployment
    schema = deployment.config_schema
    trainer = schema["properties"]["steps"]["properties"]["trainer"]["properties"]["parameters"]["properties"]
    trainer["login"] = {"type": "object", "properties": parts}
    deployment.save()
    given = {"steps": {"trainer": {"parameters": {"login": {"user": "carol", "password": "swordfish"}}}}}
    run = launch(template, alice, given)
    assert "login" in known_parameters(schema, run)["trainer"]
    trainer["login"] = {"type": "object", "properties": {**parts, "password": {"type": "string"}}}
    assert "login" not in known_parameters(schema, run)["trainer"]
