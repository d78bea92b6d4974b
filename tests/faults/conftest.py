"""A database file with templates in it, and processes that work on a copy of it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper

from runs_app import dispatch
from runs_app.management.commands.bootstrap import bootstrap
from runs_app.models import PipelineRun
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.faults.machine import Machine, Witness
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key
from zenweb.cli.broker import broker_url
from zenweb.cli.data_folder import open_data_folder

PIPELINES = ("witnessed", "single", "deadly", "crashing")
Launch = Callable[..., PipelineRun]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> tuple[Path, str]:
    """A database with Alice, her templates and her API key, made once and copied for every test."""
    path = tmp_path_factory.mktemp("faults") / "zenweb.sqlite3"
    with django_db_blocker.unblock(), using_database(path):
        call_command("migrate", verbosity=0)
        bootstrap()
        alice = User.objects.create_user(username="alice", password="alice has a long password")
        _, key = create_api_key(user=alice, name="tests")
        for name in PIPELINES:
            source = f"witnessed.{name}_pipeline"
            make_template(freeze(source, alice, Stack.objects.get(name="celery")), alice, name)
    return path, key


@pytest.fixture
def machine(
    prepared: tuple[Path, str],
    tmp_path: Path,
    settings: Any,
    django_db_blocker: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Machine]:
    """Nothing runs yet; this process reads and writes the same database, and rings at the same broker."""
    machine = Machine(open_data_folder(tmp_path / "machine"))
    with closing(sqlite3.connect(prepared[0])) as source, closing(sqlite3.connect(machine.database)) as copy:
        source.backup(copy)
    settings.CELERY_BROKER_URL = broker_url(machine.folder)
    monkeypatch.setattr(dispatch, "_doorbell", dispatch.Doorbell())
    with django_db_blocker.unblock(), using_database(machine.database):
        Stack.objects.filter(name="celery").update(artifact_store_uri=str(machine.folder.path / "artifacts"))
        try:
            yield machine
        finally:
            machine.clean_up()


@pytest.fixture
def key(prepared: tuple[Path, str]) -> str:
    """Alice's API key."""
    return prepared[1]


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    folder = tmp_path / "witness"
    folder.mkdir()
    return Witness(folder)


@pytest.fixture
def start(machine: Machine) -> Launch:
    """Starts a run of a pipeline of tests/pipelines/witnessed.py."""

    def start(name: str, configuration: Any = None) -> PipelineRun:
        template = RunTemplate.objects.get(name=name)
        return launch(template, User.objects.get(username="alice"), configuration)

    return start


@contextmanager
def using_database(path: Path) -> Iterator[None]:
    """This thread's database, for as long as the block lasts, is that file."""
    usual = connections["default"]
    described = deepcopy(usual.settings_dict) | {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}
    described["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
    file = DatabaseWrapper(described, "default")
    connections["default"] = file
    try:
        yield
    finally:
        file.close()
        connections["default"] = usual
