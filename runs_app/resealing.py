"""Sealing what is stored already: in clear, from before there were keys, or with a key that is to be given up."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import models, transaction

from templates_app.schema_places import holds_secret, replace_secrets, value_at
from zenweb.exceptions import SecretUnreadable
from zenweb.sealing import Json, is_sealed, is_sealed_with_newest, keyed_hash, opened, seal

Models = Callable[[str, str], type[models.Model]]
"""By app and name: those of now, or those that a migration knows."""
AT_ONCE = 500


@dataclass
class Resealed:
    """How many runs and schedules were changed, and how many could not be: their keys are gone."""

    changed: int = 0
    unreadable: int = 0
    emptied: int = 0
    """Schedules whose template was deleted: what was a secret nobody can tell, and they never run again."""


def reseal(models_of: Models) -> Resealed:
    """Seal every stored secret with the newest key. Done again, or broken off and done again, it goes on."""
    done = Resealed()
    for deployment, config_schema in _with_secrets(models_of):
        for run in _ids(models_of("runs_app", "PipelineRun"), deployment=deployment):
            _count(done, partial(_reseal_run, models_of, run, config_schema))
    schedules = models_of("runs_app", "Schedule")
    for schedule in _ids(schedules, template=None):
        done.emptied += _empty(schedules, schedule)
    for schedule in _ids(schedules, template__isnull=False):
        _count(done, partial(_reseal_schedule, models_of, schedule))
    return done


def key_hashes(models_of: Models) -> None:
    """Put hashes with a key into the place of those without, where a secret was hashed too. Once, not again."""
    for deployment, _ in _with_secrets(models_of):
        steps = models_of("runs_app", "StepRun")._default_manager.filter(run__deployment=deployment)
        for key in list(steps.exclude(cache_key="").values_list("cache_key", flat=True).distinct()):
            steps.filter(cache_key=key).update(cache_key=keyed_hash(key))


def seal_hashes(models_of: Models) -> None:
    """Seal the hashes of bodies with secrets that are not sealed yet."""
    for deployment, _ in _with_secrets(models_of):
        records = models_of("runs_app", "IdempotencyRecord")._default_manager.filter(
            run__deployment=deployment
        )
        for pk, run, body_hash in list(records.values_list("pk", "run_id", "body_hash")):
            if not is_sealed(body_hash):
                records.filter(pk=pk).update(body_hash=seal(body_hash, run))


def _with_secrets(models_of: Models) -> Iterator[tuple[uuid.UUID, Json]]:
    deployments = models_of("templates_app", "PipelineDeployment")._default_manager
    for pk in list(deployments.values_list("pk", flat=True)):
        config_schema = deployments.values_list("config_schema", flat=True).get(pk=pk)
        if holds_secret([config_schema], config_schema):
            yield pk, config_schema


def _ids(model: type[models.Model], **conditions: Any) -> Iterator[uuid.UUID]:
    rows = model._default_manager.filter(**conditions).order_by("pk").values_list("pk", flat=True)
    while found := list(rows[:AT_ONCE]):
        yield from found
        rows = rows.filter(pk__gt=found[-1])


def _count(done: Resealed, change: Callable[[], bool]) -> None:
    try:
        with transaction.atomic():
            done.changed += change()
    except SecretUnreadable:
        done.unreadable += 1


def _reseal_run(models_of: Models, run: uuid.UUID, config_schema: Json) -> bool:
    runs = models_of("runs_app", "PipelineRun")._default_manager.filter(pk=run)
    fields = ("configuration", "resolved_configuration")
    documents = dict(zip(fields, runs.values_list(*fields).get(), strict=True))
    renewed = {name: _renewed(config_schema, document, run) for name, document in documents.items()}
    steps = models_of("runs_app", "StepRun")._default_manager.filter(run=run)
    is_changed = renewed != documents
    if is_changed:
        runs.update(**renewed)
    for pk, name, parameters in list(steps.values_list("pk", "name", "parameters")):
        whole = {"steps": {name: {"parameters": parameters}}}
        if (now := _renewed(config_schema, whole, run)) != whole:
            steps.filter(pk=pk).update(parameters=now["steps"][name]["parameters"])
            is_changed = True
    records = models_of("runs_app", "IdempotencyRecord")._default_manager.filter(run=run)
    for pk, body_hash in list(records.values_list("pk", "body_hash")):
        if (now := _with_newest_key(body_hash, run)) != body_hash:
            records.filter(pk=pk).update(body_hash=now)
            is_changed = True
    return is_changed


def _empty(model: type[models.Model], schedule: uuid.UUID) -> bool:
    schedules = model._default_manager.filter(pk=schedule)
    # Looked at here: PostgreSQL does not compare JSON that is kept as it was given.
    return any(schedules.values_list("configuration", flat=True)) and bool(schedules.update(configuration={}))


def _reseal_schedule(models_of: Models, pk: uuid.UUID) -> bool:
    schedules = models_of("runs_app", "Schedule")._default_manager.filter(pk=pk, template__isnull=False)
    schedule: Any = schedules.select_for_update().first()
    if schedule is None:
        return False  # it was deleted a moment ago, or its template
    config_schema = schedule.template.latest_version.deployment.config_schema
    renewed = _renewed(config_schema, schedule.configuration, pk)
    is_changed = bool(renewed != schedule.configuration)
    if is_changed:
        schedules.update(configuration=renewed)
    return is_changed


def _renewed(config_schema: Json, value: Json, of: uuid.UUID) -> Json:
    """With everything sealed by the newest key: what was sealed before, and what the schema calls a secret."""
    value = _with_newest_key(value, of)

    def seal_at(path: tuple[str, ...]) -> Json:
        here = value_at(value, path)
        return here if is_sealed(here) else seal(here, of)

    return replace_secrets(config_schema, value, seal_at) if isinstance(value, dict) else value


def _with_newest_key(value: Json, of: uuid.UUID) -> Json:
    if is_sealed(value):
        return value if is_sealed_with_newest(value) else seal(opened(value, of), of)
    if isinstance(value, dict):
        return {name: _with_newest_key(member, of) for name, member in value.items()}
    return [_with_newest_key(member, of) for member in value] if isinstance(value, list) else value
