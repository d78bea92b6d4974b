"""Who sends a body slowly, or stops in the middle of it, keeps no more than some of the server's threads."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory

from zenweb import request_bodies
from zenweb.request_bodies import bounding_readers

pytestmark = pytest.mark.django_db
STRANGER, OTHER = "203.0.113.5", "198.51.100.7"
LOGIN = "/api/v1/login"
FORM = b"password=guessed"


class Stalled:
    """A body of which nothing comes until it is let go."""

    def __init__(self) -> None:
        self.is_asked, self._is_over = threading.Event(), threading.Event()

    def read(self, *_: int) -> bytes:
        self.is_asked.set()
        assert self._is_over.wait(20)
        return b""

    def let_go(self) -> None:
        self._is_over.set()


Send = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def send(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Send:
    settings.WEB_THREADS = 8
    monkeypatch.setattr(request_bodies, "PATIENCE", 0.05)
    application = bounding_readers(WSGIHandler())

    def send(path: str, body: Any, address: str = STRANGER) -> tuple[int, dict[str, str], bytes]:
        environ = RequestFactory().post(path, FORM, content_type="application/x-www-form-urlencoded").environ
        environ |= {"wsgi.input": body, "REMOTE_ADDR": address, "HTTP_COOKIE": f"csrftoken={'a' * 32}"}
        told: list[Any] = []
        content = b"".join(application(environ, lambda *head: told.extend(head)))
        return int(told[0].split()[0]), dict(told[1]), content

    return send


@pytest.fixture
def stall(send: Send) -> Iterator[Callable[[int, str], None]]:
    """So many requests of one address, none of which has sent all of its body."""
    begun: list[Stalled] = []
    with ThreadPoolExecutor(16) as pool:

        def stall(number: int, address: str) -> None:
            bodies = [Stalled() for _ in range(number)]
            begun.extend(bodies)
            for body in bodies:
                pool.submit(send, LOGIN, body, address)
            assert all(body.is_asked.wait(20) for body in bodies)

        yield stall
        for body in begun:
            body.let_go()


@pytest.mark.parametrize("path", [LOGIN, "/login/"])
def test_who_leaves_too_many_unfinished_is_told_to_come_back(
    send: Send, stall: Callable[[int, str], None], path: str
) -> None:
    stall(2, STRANGER)
    status, headers, content = send(path, BytesIO(FORM))
    assert (status, headers["Retry-After"]) == (503, "5")
    assert b"Ask again when those are through." in content
    if path == LOGIN:
        assert json.loads(content)["detail"][0] == "RuntimeError"


def test_others_are_answered_meanwhile(send: Send, stall: Callable[[int, str], None]) -> None:
    stall(2, STRANGER)
    assert send(LOGIN, BytesIO(FORM), OTHER)[0] == 401


def test_however_many_there_are_they_leave_threads_for_what_has_no_body(
    send: Send, stall: Callable[[int, str], None]
) -> None:
    for network in range(3):
        stall(2, f"203.0.113.{network}")
    assert send(LOGIN, BytesIO(FORM), OTHER)[0] == 503


def test_a_place_is_free_again_when_the_body_is_there(send: Send, stall: Callable[[int, str], None]) -> None:
    for _ in range(20):
        assert send(LOGIN, BytesIO(FORM))[0] == 401
    stall(1, STRANGER)
    assert send(LOGIN, BytesIO(FORM))[0] == 401
