"""Threads of one process that write to SQLite: one after the other, and nobody keeps the turn."""

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.conf import settings
from django.db import connection, transaction

from tests.runs.test_worker import in_background
from zenweb.accounts.models import Project
from zenweb.sqlite import base

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(settings.ON_POSTGRESQL, reason="PostgreSQL has many writers at a time"),
]
LIMIT = 10  # seconds


def add(name: str) -> None:
    with transaction.atomic():
        Project.objects.create(name=name)


def turn_is_taken() -> bool:
    return base._turn.locked()


def test_a_writer_goes_on_the_moment_the_one_before_has_committed() -> None:
    asks = threading.Event()

    def add_without_patience() -> None:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")  # whoever meets SQLite's own lock is refused at once
        asks.set()
        add("second")

    with transaction.atomic():
        Project.objects.create(name="first")
        other = in_background(add_without_patience)
        assert asks.wait(LIMIT)
        assert turn_is_taken()
    other.join(LIMIT)
    assert set(Project.objects.values_list("name", flat=True)) >= {"first", "second"}
    assert not turn_is_taken()


def break_off() -> None:
    with transaction.atomic():
        Project.objects.create(name="broken off")
        raise ZeroDivisionError


def close_in_between() -> None:
    with transaction.atomic():
        Project.objects.create(name="closed in between")
        connection.close()


@pytest.mark.parametrize("leave", [break_off, close_in_between])
def test_whoever_leaves_in_the_middle_gives_the_turn_back(leave: Callable[[], None]) -> None:
    with suppress(ZeroDivisionError):
        leave()
    assert not turn_is_taken()
    add("next")
    assert Project.objects.filter(name="next").exists()
