"""No verb is silent: each function that does something in somebody's name is done here, and the audit tells it."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import runs_app
import templates_app
import zenweb.accounts
from runs_app import applying, history, presets, schedules, services, uploads
from runs_app.models import PipelineRun, Schedule
from runs_app.repair import Repair
from templates_app import grants
from templates_app import services as template_services
from templates_app.models import PipelineDeployment, Preset, RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from zenweb.accounts import device_login, projects
from zenweb.accounts import services as account_services
from zenweb.accounts.models import ApiKey, AuditEvent, RoleGrant, User
from zenweb.accounts.services import default_project
from zenweb.config.code_archive import pack
from zenweb.config.template_file import read_document
from zenweb.enums import Role, TriggerChannel

# They change nothing that lasts, or only tell how a step goes on that was started already.
NOT_DEEDS = {
    "runs_app.choices.ask_for_choices",
    "runs_app.given_files.check_artifacts",
    "runs_app.given_files.check_files",
    "runs_app.judging.judge",
    "runs_app.judging.judge_unfrozen",
    "runs_app.preflight.preflight",
    "runs_app.repair.preview_repair",
    "runs_app.presets.use_preset",
    "runs_app.services.start_local_step",
    "runs_app.services.started_local_attempt",
    "runs_app.services.report_local_progress",
    "runs_app.services.end_local_step",
    "runs_app.services.renew_lease",
    "runs_app.services.goes_on",
    "templates_app.services.check_code_archive",
    "templates_app.services.check_deployment",
    "zenweb.accounts.audit.record_audit",
    "zenweb.accounts.audit.record_deletion",
    "zenweb.accounts.device_login.find_device_login",
}


@dataclass
class World:
    """An administrator, and one of everything."""

    actor: User
    template: RunTemplate
    run: PipelineRun
    preset: Preset
    schedule: Schedule
    key: ApiKey
    account: User

    @property
    def trigger(self) -> services.Trigger:
        return services.Trigger(self.actor, TriggerChannel.REST)

    @property
    def deployment(self) -> PipelineDeployment:
        return self.template.deployment

    def login(self) -> Any:
        started = device_login.start_device_login(client_id="x", program="p", machine="m", address="a")
        return started.login


@pytest.fixture
def world(alice: User, template: RunTemplate) -> World:
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    alice.refresh_from_db()
    return World(
        alice,
        template,
        launch(template, alice),
        presets.create_preset(actor=alice, template=template, name="mine"),
        schedules.create_schedule(actor=alice, template=template, name="nightly", cron="0 0 * * *"),
        account_services.create_api_key(user=alice, name="key")[0],
        account_services.create_service_account(actor=alice, name="machine"),
    )


def ended(world: World) -> PipelineRun:
    services.stop_run(actor=world.actor, run=world.run)
    world.run.refresh_from_db()
    return world.run


def store_code(world: World) -> object:
    archive = pack(Path(__file__).parent)
    return template_services.store_code_archive(
        actor=world.actor, sha256=archive.sha256, content=archive.content
    )


def restore(world: World) -> object:
    document = {"parameters": {"trainer.learning_rate": {"label": "Rate"}}}
    former = world.template.version
    changed = template_services.curate_run_template(
        actor=world.actor, template=world.template, curation=document
    )
    return template_services.restore_run_template(actor=world.actor, template=changed, version=former)


def deploy(world: World) -> object:
    newer = freeze(
        "training.training_pipeline", world.actor, Stack.objects.create(name="s", orchestrator="celery")
    )
    return template_services.deploy_run_template(actor=world.actor, template=world.template, deployment=newer)


def freeze_another(world: World) -> PipelineDeployment:
    return freeze("cached.diamond", world.actor, Stack.objects.get(name="celery"))


DEEDS: dict[str, Callable[[World], object]] = {
    "runs_app.history.delete_run": lambda w: history.delete_run(actor=w.actor, run=ended(w)),
    "runs_app.history.tag_run": lambda w: history.tag_run(actor=w.actor, run=w.run, add_tags=["a"]),
    "runs_app.applying.apply_template": lambda w: applying.apply_template(
        actor=w.actor,
        project=w.template.project,
        document=read_document({"format": 1, "name": w.template.name, "description": "new"}),
    ),
    "runs_app.presets.create_preset": lambda w: presets.create_preset(
        actor=w.actor, template=w.template, name="new"
    ),
    "runs_app.presets.update_preset": lambda w: presets.update_preset(
        actor=w.actor, preset=w.preset, is_shared=True
    ),
    "runs_app.presets.delete_preset": lambda w: presets.delete_preset(actor=w.actor, preset=w.preset),
    "runs_app.schedules.create_schedule": lambda w: schedules.create_schedule(
        actor=w.actor, template=w.template, name="new", cron="0 0 * * *"
    ),
    "runs_app.schedules.update_schedule": lambda w: schedules.update_schedule(
        actor=w.actor, schedule=w.schedule, is_paused=True
    ),
    "runs_app.schedules.delete_schedule": lambda w: schedules.delete_schedule(
        actor=w.actor, schedule=w.schedule
    ),
    "runs_app.services.launch_run": lambda w: services.launch_run(
        deployment=w.deployment, version=w.template.version, configuration={}, trigger=w.trigger
    ),
    "runs_app.services.repair_run": lambda w: services.repair_run(repair=Repair(ended(w)), trigger=w.trigger),
    "runs_app.services.stop_run": lambda w: services.stop_run(actor=w.actor, run=w.run),
    "runs_app.services.note_metadata": lambda w: services.note_metadata(
        actor=w.actor, things=[w.run], values={"a": 1}
    ),
    "runs_app.uploads.store_upload": lambda w: uploads.store_upload(
        actor=w.actor, project=default_project(), name="a.txt", content=[b"x"]
    ),
    "templates_app.services.store_code_archive": store_code,
    "templates_app.services.keep_code_archive": store_code,
    "templates_app.services.create_pipeline": lambda w: template_services.create_pipeline(
        actor=w.actor, project=default_project(), name="new"
    ),
    "templates_app.services.update_pipeline": lambda w: template_services.update_pipeline(
        actor=w.actor, pipeline=w.template.pipeline, description="new"
    ),
    "templates_app.services.delete_pipeline": lambda w: template_services.delete_pipeline(
        actor=w.actor, pipeline=freeze_another(w).pipeline
    ),
    "templates_app.services.create_deployment": freeze_another,
    "templates_app.services.freeze_deployment": freeze_another,
    "templates_app.services.create_run_template": lambda w: make_template(w.deployment, w.actor, "new"),
    "templates_app.services.curate_run_template": lambda w: template_services.curate_run_template(
        actor=w.actor,
        template=w.template,
        curation={"parameters": {"trainer.learning_rate": {"label": "Rate"}}},
    ),
    "templates_app.services.deploy_run_template": deploy,
    "templates_app.services.restore_run_template": restore,
    "templates_app.services.update_run_template": lambda w: template_services.update_run_template(
        actor=w.actor, template=w.template, name="other"
    ),
    "templates_app.services.delete_run_template": lambda w: template_services.delete_run_template(
        actor=w.actor, template=w.template
    ),
    "templates_app.grants.grant_role": lambda w: grants.grant_role(
        actor=w.actor, on=w.template, to=w.account, role=Role.VIEWER
    ),
    "templates_app.grants.revoke_role": lambda w: grants.revoke_role(
        actor=w.actor,
        grant=RoleGrant.objects.create(template=w.template, user=w.account, role=Role.VIEWER),
    ),
    "zenweb.accounts.projects.create_project": lambda w: projects.create_project(actor=w.actor, name="new"),
    "zenweb.accounts.projects.update_project": lambda w: projects.update_project(
        actor=w.actor, project=default_project(), default_role=Role.VIEWER
    ),
    "zenweb.accounts.device_login.decide_device_login": lambda w: device_login.decide_device_login(
        actor=w.actor, login=w.login(), is_confirmed=False
    ),
    "zenweb.accounts.services.change_password": lambda w: account_services.change_password(
        actor=w.actor, current="alice has a long password", new="quite another one, and longer"
    ),
    "zenweb.accounts.services.create_service_account": lambda w: account_services.create_service_account(
        actor=w.actor, name="new"
    ),
    "zenweb.accounts.services.update_service_account": lambda w: account_services.update_service_account(
        actor=w.actor, account=w.account, is_active=False
    ),
    "zenweb.accounts.services.delete_service_account": lambda w: account_services.delete_service_account(
        actor=w.actor, account=w.account
    ),
    "zenweb.accounts.services.create_api_key": lambda w: account_services.create_api_key(
        actor=w.actor, user=w.actor, name="new"
    ),
    "zenweb.accounts.services.update_api_key": lambda w: account_services.update_api_key(
        actor=w.actor, api_key=w.key, is_active=False
    ),
    "zenweb.accounts.services.rotate_api_key": lambda w: account_services.rotate_api_key(
        actor=w.actor, api_key=w.key
    ),
    "zenweb.accounts.services.delete_api_key": lambda w: account_services.delete_api_key(
        actor=w.actor, api_key=w.key
    ),
}


def modules() -> Iterator[ModuleType]:
    for package in (runs_app, templates_app, zenweb.accounts):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "migrations" not in found.name:
                yield importlib.import_module(found.name)


def verbs() -> set[str]:
    """Public functions that are told by keyword who does it."""
    found = set()
    for module in modules():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            given = inspect.signature(function).parameters.values()
            by_keyword = {each.name for each in given if each.kind is each.KEYWORD_ONLY}
            if (
                function.__module__ == module.__name__
                and not name.startswith("_")
                and by_keyword & {"actor", "trigger"}
            ):
                found.add(f"{module.__name__}.{name}")
    return found


def test_every_verb_is_here() -> None:
    """A new one calls `record_audit` and is done in DEEDS; what changes nothing is named in NOT_DEEDS."""
    assert sorted(verbs() - NOT_DEEDS) == sorted(DEEDS)
    assert sorted(NOT_DEEDS - verbs()) == []


@pytest.mark.parametrize("verb", DEEDS)
def test_it_is_told_and_who_did_it(world: World, verb: str) -> None:
    before = set(AuditEvent.objects.values_list("pk", flat=True))
    DEEDS[verb](world)
    told = AuditEvent.objects.exclude(pk__in=before)
    assert told.exists()
    assert {event.user_name for event in told} == {"alice"}
