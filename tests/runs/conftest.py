"""What many tests of runs need."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, make_template
from zenweb.accounts.models import User


@pytest.fixture
def worker(own_data_folder: Path) -> Iterator[StepWorker]:
    """At work. Tests that do its work themselves have a row of that name instead."""
    worker = StepWorker(name="w1", queues=["default"], slots=1)
    worker.start()
    yield worker
    worker.shut_down()


@pytest.fixture
def chain(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    """first -> second -> last, and first -> last."""
    return make_template(freeze("cached.chain", alice, stacks["celery"]), alice, "chain")
