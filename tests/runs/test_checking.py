"""Whether a server runs a template: each part that may be wrong is named, over REST and offline."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from runs_app.models import Environment, Worker
from runs_app.presets import create_preset
from runs_app.schedules import create_schedule
from templates_app.models import CodeArchive, PipelineDeployment, RunTemplate, RunTemplateVersion, Stack
from templates_app.services import curate_run_template
from tests.accounts.conftest import bearer
from zenweb.accounts.models import Project, RoleGrant, User
from zenweb.accounts.services import create_api_key
from zenweb.enums import EnvironmentStatus, Role

PATH = "/api/v1/run_templates/daily-retraining/check"
FAST = {"steps": {"trainer": {"parameters": {"learning_rate": 0.9}}}}
SLOW = {"version": 1, "parameters": {"trainer.learning_rate": {"maximum": 0.5}}}


@pytest.fixture
def worker(template: RunTemplate) -> Worker:
    """One that works where the template's steps would wait."""
    worker = Worker.objects.create(name="w", hostname="h", pid=1, queues=["default"])
    Worker.objects.update(updated=timezone.now() + timedelta(hours=1))  # however slow this machine is
    return worker


def told(rest: Client) -> dict[str, tuple[str, str]]:
    """By its part, what is not well."""
    findings = rest.get(PATH).json()["findings"]
    return {each["part"]: (each["verdict"], each["sentence"]) for each in findings if each["verdict"] != "ok"}


def test_all_is_well(rest: Client, worker: Worker) -> None:
    report = rest.get(PATH).json()
    assert (report["name"], report["version"], report["runs"]) == ("daily-retraining", 1, True)
    parts = (
        "spec",
        "schema",
        "form",
        "code",
        "python",
        "requirements",
        "stack",
        "queue",
        "presets",
        "schedules",
    )
    assert [(each["part"], each["verdict"]) for each in report["findings"]] == [
        (part, "ok") for part in parts
    ]


def of_a_newer_version() -> None:
    deployment = PipelineDeployment.objects.get()
    PipelineDeployment.objects.update(spec={**deployment.spec, "version": 99})


@pytest.mark.parametrize(
    ("spoil", "part", "verdict", "words"),
    [
        (of_a_newer_version, "spec", "failed", "made by a newer ZenWeb: it has version 99"),
        (
            lambda: PipelineDeployment.objects.update(config_schema={"type": "?"}),
            "schema",
            "failed",
            "cannot be used",
        ),
        (
            lambda: RunTemplateVersion.objects.update(curation={"version": 9}),
            "form",
            "failed",
            "newer ZenWeb",
        ),
        (lambda: CodeArchive.objects.update(content=b"x"), "code", "failed", "not gzip-compressed"),
        (lambda: CodeArchive.objects.update(sha256="0" * 64), "code", "failed", "not the one its hash names"),
        (lambda: PipelineDeployment.objects.update(python_version="2.7"), "python", "warning", "Python 2.7"),
        (
            lambda: PipelineDeployment.objects.update(requirements=["x"]),
            "requirements",
            "warning",
            "never installed",
        ),
        (lambda: Stack.objects.update(orchestrator="local"), "stack", "failed", "nothing on workers"),
        (lambda: Worker.objects.update(queues=["gpu"]), "queue", "failed", "default"),
    ],
)
def test_what_is_wrong_is_named(
    rest: Client, worker: Worker, spoil: Callable[[], Any], part: str, verdict: str, words: str
) -> None:
    spoil()
    found = told(rest)
    assert list(found) == [part]
    assert found[part][0] == verdict
    assert words in found[part][1]
    assert rest.get(PATH).json()["runs"] is (verdict == "warning")


def test_packages_that_could_not_be_installed(rest: Client, worker: Worker) -> None:
    PipelineDeployment.objects.update(requirements=["b", "a"])
    made = Environment.objects.create(hash="1" * 16, requirements=["a", "b"], status=EnvironmentStatus.FAILED)
    assert told(rest)["requirements"][0] == "failed"
    Environment.objects.filter(pk=made.pk).update(status=EnvironmentStatus.READY)
    assert told(rest) == {}


def test_presets_and_schedules_that_do_not_fit_any_more(
    rest: Client, worker: Worker, template: RunTemplate, alice: User
) -> None:
    create_preset(actor=alice, template=template, name="fast", configuration=FAST)
    create_schedule(actor=alice, template=template, name="nightly", cron="0 0 * * *", configuration=FAST)
    curate_run_template(actor=alice, template=template, curation=SLOW)
    found = told(rest)
    assert found["presets"][1].startswith(
        "the preset 'fast' does not fit: /steps/trainer/parameters/learning_rate: "
    )
    assert found["schedules"][0] == "failed"
    Project.objects.update(default_role=Role.NOBODY)
    carol = User.objects.create_user(username="carol", password="carol has a long password")
    RoleGrant.objects.create(template=template, user=carol, role=Role.VIEWER)
    carols = told(bearer(create_api_key(user=carol, name="c")[1]))
    assert carols == {"schedules": ("failed", "the schedule 'nightly' does not fit any more.")}


def test_the_same_offline(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("check_templates")
    assert capsys.readouterr().out == "default/daily-retraining: runs\nAll 1 templates run here.\n"
    of_a_newer_version()
    with pytest.raises(CommandError, match="1 of 1 templates do not run here"):
        call_command("check_templates")
    assert "default/daily-retraining: fails\n    failed  spec: version: " in capsys.readouterr().out
