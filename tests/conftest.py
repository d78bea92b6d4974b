"""The cast and the things that most tests need."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from xdist.scheduler import LoadFileScheduling

from runs_app.management.commands.bootstrap import bootstrap
from runs_app.models import Worker
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from tests.factories import PIPELINES, freeze, make_editor, make_template
from zenweb import connection
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key

E2E = "tests/e2e/"
WITH_PROCESSES = (E2E, "tests/faults/")
PROCESSES = {"worker", "site", "machine", "live_server"}  # fixtures with which a test has some


class BySharedThings(LoadFileScheduling):
    """A file's tests, and all those that use a browser, stay in one process: what they share is dear to start."""

    def _split_scope(self, nodeid: str) -> str:
        return E2E if nodeid.startswith(E2E) else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    return BySharedThings(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test with real processes and deadlines gets a second try (docs/decisions/0022), no other does."""
    for item in items:
        if item.nodeid.startswith(WITH_PROCESSES) or PROCESSES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def own_data_folder(settings: Any, tmp_path: Path) -> Path:
    """Nothing a test writes outlives it."""
    settings.DATA_DIR = tmp_path / "data"
    settings.ARTIFACT_STORE_URI = str(settings.DATA_DIR / "artifacts")
    # Nobody listens there: what a test publishes is refused at once, which must never matter.
    settings.CELERY_BROKER_URL = f"redis+socket://{tmp_path}/no.sock"
    settings.DATA_DIR.mkdir()
    return settings.DATA_DIR


@pytest.fixture(autouse=True)
def own_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that a test calls speaks for itself, not for the tests after it."""
    monkeypatch.setattr(connection, "channel", connection.channel)


@pytest.fixture
def stacks(db: None) -> dict[str, Stack]:
    bootstrap()
    return {stack.name: stack for stack in Stack.objects.all()}


@pytest.fixture
def alice(db: None) -> User:
    """Registers pipelines and owns the templates."""
    return make_editor(User.objects.create_user(username="alice", password="alice has a long password"))


@pytest.fixture
def bob(db: None) -> User:
    """Signed in, and what everybody is: a runner."""
    return User.objects.create_user(username="bob", password="bob has a long password")


@pytest.fixture
def alices_key(alice: User) -> str:
    return create_api_key(user=alice, name="tests")[1]


@pytest.fixture
def rest(alices_key: str) -> Client:
    """A REST client that is Alice."""
    return Client(headers={"Authorization": f"Bearer {alices_key}"})


@pytest.fixture
def deployment(stacks: dict[str, Stack], alice: User) -> PipelineDeployment:
    """`trainer -> evaluator`, frozen from tests/pipelines/training.py."""
    return freeze("training.training_pipeline", alice, stacks["celery"])


@pytest.fixture
def template(deployment: PipelineDeployment, alice: User) -> RunTemplate:
    return make_template(deployment, alice, "daily-retraining")


@pytest.fixture
def hand(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker's row, for tests that put pipelines together themselves."""
    monkeypatch.syspath_prepend(str(PIPELINES))
    yield Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)
    sys.modules.pop("composed", None)
