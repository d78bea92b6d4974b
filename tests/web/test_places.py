"""Long answers: how many of them go on at once, and how long one may hold its place."""

import gc
from contextlib import ExitStack
from typing import Any

import pytest

from runs_app.api.logs import FOLLOWERS
from runs_app.downloads import DOWNLOADS
from runs_app.endings import WAITING
from zenweb.accounts.audit_export import EXPORTS
from zenweb.api.places import PATIENCE, SLOWEST, Places
from zenweb.cli.server import LEAST_THREADS, THREADS
from zenweb.exceptions import ServerBusy

ALL = (WAITING, FOLLOWERS, DOWNLOADS, EXPORTS)


@pytest.mark.parametrize("threads", [LEAST_THREADS, 9, 16, 32, 128, THREADS, 1_000])
def test_all_long_answers_together_leave_others_a_quarter_of_the_threads(settings: Any, threads: int) -> None:
    settings.WEB_THREADS = threads
    assert sum(places.most for places in ALL) <= threads * 3 / 4
    assert all(1 <= places.most_of_one <= places.most for places in ALL)


def test_as_many_threads_are_reckoned_with_as_are_started(settings: Any) -> None:
    assert settings.WEB_THREADS == THREADS


def test_all_kinds_of_long_answers_are_reckoned_with() -> None:
    gc.unfreeze()  # what a web server within the tests has taken out of sight
    known = [each for each in gc.get_objects() if type(each) is Places]
    assert {id(each) for each in known} == {id(each) for each in ALL}


@pytest.mark.parametrize("places", ALL)
def test_one_account_leaves_places_to_others(places: Places) -> None:
    with ExitStack() as going_on:
        for _ in range(places.most_of_one):
            going_on.enter_context(places.taken_by("alice"))
        with pytest.raises(ServerBusy):
            going_on.enter_context(places.taken_by("alice"))
        going_on.enter_context(places.taken_by("bob"))
    assert places.taken == 0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("zenweb.api.places.time", clock)
    return clock


def test_who_reads_too_slowly_loses_the_place(clock: Clock) -> None:
    answer = DOWNLOADS.seat([b"x" * SLOWEST] * 1_000, "alice")
    for _ in range(PATIENCE // 2 + 1):
        next(answer)
        clock.now += 2
    with pytest.raises(ServerBusy, match="too slowly"):
        next(answer)
    assert DOWNLOADS.taken == 0


def test_what_takes_long_to_be_made_is_not_the_readers_fault(clock: Clock) -> None:
    def slowly_made() -> Any:
        for _ in range(5):
            clock.now += PATIENCE
            yield b"x"

    assert list(DOWNLOADS.seat(slowly_made(), "alice")) == [b"x"] * 5


def test_who_follows_a_log_that_says_little_keeps_the_place(clock: Clock) -> None:
    answer = FOLLOWERS.seat([b"x"] * 2, "alice")
    next(answer)
    clock.now += 10 * PATIENCE
    assert next(answer) == b"x"
    answer.close()
