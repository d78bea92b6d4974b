"""A database with templates in it, and processes that work on a copy of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import call_command

from runs_app import dispatch
from runs_app.management.commands.bootstrap import bootstrap
from runs_app.models import PipelineRun
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_editor, make_template
from tests.faults.database import copy_database, new_database, using_database
from tests.faults.machine import Machine, Witness, client_of, figures
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key
from zenweb.cli.broker import broker_url
from zenweb.cli.data_folder import open_data_folder

PIPELINES = {
    "witnessed": ["witnessed", "single", "deadly", "crashing", "spread"],
    "pressed": ["hungry", "filling"],
    "chosen": ["table"],
    "nested": ["descending"],
}
Launch = Callable[..., PipelineRun]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if figures:
        terminalreporter.section("as measured (docs/reliability.md)")
        for figure in figures:
            terminalreporter.line(figure)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> tuple[str, str]:
    """A database with Alice, her templates and her API key, made once and copied for every test."""
    url = new_database(tmp_path_factory.mktemp("faults"))
    with django_db_blocker.unblock(), using_database(url):
        call_command("migrate", verbosity=0)
        bootstrap()
        alice = make_editor(User.objects.create_user(username="alice", password="alice has a long password"))
        _, key = create_api_key(user=alice, name="tests")
        celery = Stack.objects.get(name="celery")
        for source in [f"{module}.{name}_pipeline" for module, names in PIPELINES.items() for name in names]:
            name = source.partition(".")[2].removesuffix("_pipeline")
            make_template(freeze(source, alice, celery), alice, name)
    return url, key


@pytest.fixture
def machine(
    prepared: tuple[str, str],
    tmp_path: Path,
    settings: Any,
    django_db_blocker: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Machine]:
    """Nothing runs yet; this process reads and writes the same database, and rings at the same broker."""
    folder = open_data_folder(tmp_path / "machine")
    machine = Machine(folder, copy_database(prepared[0], folder.path))
    settings.CELERY_BROKER_URL = broker_url(machine.folder)
    monkeypatch.setattr(dispatch, "_doorbell", dispatch.Doorbell())
    with django_db_blocker.unblock(), using_database(machine.database_url):
        Stack.objects.filter(name="celery").update(artifact_store_uri=str(machine.folder.path / "artifacts"))
        try:
            yield machine
        finally:
            machine.clean_up()


@pytest.fixture
def key(prepared: tuple[str, str]) -> str:
    """Alice's API key."""
    return prepared[1]


@pytest.fixture
def site(machine: Machine, key: str) -> Iterator[httpx.Client]:
    """A client of a real web server, that is Alice."""
    machine.start_broker()
    with client_of(machine.start_web(), key) as client:
        yield client


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    folder = tmp_path / "witness"
    folder.mkdir()
    return Witness(folder)


@pytest.fixture
def start(machine: Machine) -> Launch:
    """Starts a run of one of the pipelines above."""

    def start(name: str, configuration: Any = None) -> PipelineRun:
        template = RunTemplate.objects.get(name=name)
        return launch(template, User.objects.get(username="alice"), configuration)

    return start
