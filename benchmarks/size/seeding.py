"""Many runs of many templates, copied within the database from one that was really asked for."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from benchmarks.pipelines.workloads import single
from runs_app.management.commands.bootstrap import bootstrap
from runs_app.models import PipelineRun
from runs_app.run_counts import REMOVE_TRIGGER, keep_counting, recount, trigger_names
from runs_app.services import Trigger, launch_run
from templates_app.models import Pipeline, PipelineDeployment, RunTemplate, RunTemplateVersion, Stack
from templates_app.services import (
    DeploymentRequest,
    create_deployment,
    create_run_template,
    store_code_archive,
)
from zenweb import __version__
from zenweb.accounts.models import User
from zenweb.accounts.services import default_project
from zenweb.config.code_archive import pack
from zenweb.config.config_schema import build_config_schema, build_config_template
from zenweb.enums import TriggerChannel

TEMPLATES = 200  # two of each pipeline
PIPELINES = 100
SECONDS_BETWEEN = 30  # from one run to the next: a million of them take eleven months
PYTHON = "3.11"

# Templates are used unequally: the first ones often, the last ones rarely.
TEMPLATE_OF = "(n * 7919 %% 200) * (n * 7919 %% 200) / 200"
STATUS_OF = (
    "CASE WHEN n > {runs} - 20 THEN 'running' WHEN n %% 12 = 5 THEN 'failed' WHEN n %% 40 = 3 THEN 'stopped'"
    " ELSE 'completed' END"
)
BEGAN = 1_735_689_600  # 2025-01-01
SERIES = {
    "postgresql": "SELECT CAST(n AS bigint) AS n FROM generate_series(1, {runs}) AS n",
    "sqlite": "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {runs})"
    " SELECT n FROM series",
}
MOMENT = {
    "postgresql": "to_timestamp({seconds})",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', {seconds}, 'unixepoch')",
}
RANDOM_ID = {"postgresql": "gen_random_uuid()", "sqlite": "lower(hex(randomblob(16)))"}


@dataclass(frozen=True)
class Kind:
    """What runs are of."""

    pipeline: Pipeline
    deployment: PipelineDeployment
    template: RunTemplate
    version: RunTemplateVersion


def seed(runs: int) -> None:
    """Make everything but the last run in the database itself."""
    bootstrap()
    owner = User.objects.create_superuser(username="owner")
    kinds = _make_kinds(owner)
    sample = _launch(owner, kinds[0])
    if connection.vendor == "sqlite":
        _execute("PRAGMA cache_size = -500000")
    with transaction.atomic():
        _count_and_check_nothing()
        _copy(sample, kinds, runs)
    keep_counting()
    recount()
    sample.delete()
    if connection.vendor == "postgresql":
        _execute("VACUUM ANALYZE")  # it does so by itself, some minutes later


def _make_kinds(owner: User) -> list[Kind]:
    first = _freeze(owner, Stack.objects.get(name="celery"))
    pipelines = [
        first.pipeline,
        *(_copied(first.pipeline, name=f"pipeline_{n}") for n in range(1, PIPELINES)),
    ]
    Pipeline.objects.bulk_create(pipelines[1:])
    deployments = [
        first,
        *(_copied(first, pipeline=pipeline, fingerprint=uuid.uuid4().hex) for pipeline in pipelines[1:]),
    ]
    PipelineDeployment.objects.bulk_create(deployments[1:])
    kinds = []
    for n in range(TEMPLATES):
        deployment = deployments[n % PIPELINES]
        template = create_run_template(actor=owner, name=f"template-{n}", deployment=deployment)
        kinds.append(Kind(deployment.pipeline, deployment, template, template.version))
    return kinds


def _freeze(owner: User, stack: Stack) -> PipelineDeployment:
    spec = single.compile()
    archive = pack(Path(__file__).parent.parent / "pipelines")
    return create_deployment(
        actor=owner,
        project=default_project(),
        stack=stack,
        code_archive=store_code_archive(actor=owner, sha256=archive.sha256, content=archive.content),
        request=DeploymentRequest(
            pipeline="pipeline_0",
            spec=spec.model_dump(mode="json"),
            config_schema=build_config_schema(spec),
            config_template=build_config_template(spec),
            requirements=[],
            python_version=PYTHON,
            client_version=__version__,
        ),
    )


def _copied(row: Any, **changes: Any) -> Any:
    """A new row like this one, but for the changes; not written yet."""
    copy = type(row)(**{field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields})
    copy.pk = uuid.uuid4()
    for name, value in changes.items():
        setattr(copy, name, value)
    return copy


def _launch(owner: User, kind: Kind) -> PipelineRun:
    trigger = Trigger(actor=owner, channel=TriggerChannel.REST)
    return launch_run(deployment=kind.deployment, version=kind.version, configuration={}, trigger=trigger).run


def _copy(sample: PipelineRun, kinds: Sequence[Kind], runs: int) -> None:
    vendor, table = connection.vendor, PipelineRun._meta.db_table
    moment, step = MOMENT[vendor], SECONDS_BETWEEN
    columns = {
        '"id"': RANDOM_ID[vendor],
        '"name"': "'pipeline_' || (n %% 100) || '-run-' || n",
        '"index"': "n",
        '"status"': STATUS_OF.format(runs=runs),
        '"created"': moment.format(seconds=f"{BEGAN} + n * {step}"),
        '"updated"': moment.format(seconds=f"{BEGAN} + n * {step} + 60"),
        '"start_time"': moment.format(seconds=f"{BEGAN} + n * {step} + 1"),
        '"end_time"': moment.format(seconds=f"{BEGAN} + n * {step} + 60"),
        '"template_id"': "kind.template",
        '"template_version_id"': "kind.version",
        '"deployment_id"': "kind.deployment",
        '"pipeline_id"': "kind.pipeline",
    }
    for field in PipelineRun._meta.concrete_fields:
        name = str(field.column)
        columns.setdefault(f'"{name}"', f'sample."{name}"')
    with connection.cursor() as cursor:
        kind_id = "uuid" if vendor == "postgresql" else "text"
        places = ", ".join(f"{name} {kind_id}" for name in ("pipeline", "deployment", "template", "version"))
        cursor.execute(f"CREATE TEMPORARY TABLE kind (number integer PRIMARY KEY, {places})")
        cursor.executemany(
            "INSERT INTO kind VALUES (%s, %s, %s, %s, %s)",
            [(number, *_ids(kind)) for number, kind in enumerate(kinds)],
        )
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"  # noqa: S608 our own words
            f" FROM ({SERIES[vendor].format(runs=runs)}) series JOIN kind ON kind.number = {TEMPLATE_OF}"
            f" JOIN {table} sample ON sample.id = %s",
            [_id(sample.pk)],
        )
        cursor.execute("DROP TABLE kind")


def _count_and_check_nothing() -> None:
    """For each of so many rows; all together is faster."""
    if connection.vendor == "postgresql":
        _execute("SET LOCAL session_replication_role = replica")
    else:
        for name in trigger_names():
            _execute(REMOVE_TRIGGER[connection.vendor].format(name=name))


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _ids(kind: Kind) -> list[Any]:
    return [_id(row.pk) for row in (kind.pipeline, kind.deployment, kind.template, kind.version)]


def _id(key: uuid.UUID) -> Any:
    return key if connection.features.has_native_uuid_field else key.hex
