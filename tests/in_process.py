"""The real application as the network of a client in the same process, inside the test's own transaction."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from zenweb.wsgi import application


def network() -> httpx.WSGITransport:
    return httpx.WSGITransport(app=_application, raise_app_exceptions=True)


def _application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    with keeping_the_connection():
        response = application(environ, start_response)
        body = list(response)
        response.close()
    # A web server drops what an application answers to HEAD.
    return [] if environ["REQUEST_METHOD"] == "HEAD" else body


class LosingAnswers(httpx.BaseTransport):
    """Breaks off after the application has done what was asked for, until it was asked this many times."""

    def __init__(self, times: int) -> None:
        self.times, self.requests, self._network = times, list[httpx.Request](), network()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._network.handle_request(request)
        self.requests.append(request)
        if len(self.requests) <= self.times:
            raise httpx.ReadError("Connection reset by peer", request=request)
        return response


class TimingOut(httpx.BaseTransport):
    """Gives no answer to these requests, counted from 0, although the application has done what was asked for."""

    def __init__(self, times: set[int]) -> None:
        self._times, self._count, self._network = times, itertools.count(), network()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._network.handle_request(request)
        if next(self._count) in self._times:
            raise httpx.ReadTimeout("slow", request=request)
        return response


class AsyncNetwork(httpx.AsyncBaseTransport):
    """The same for an event loop, which stands still meanwhile: the application must not notice that there is one."""

    def __init__(self, served_by: httpx.BaseTransport | None = None) -> None:
        self._network = served_by or network()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = httpx.Request(
            request.method, request.url, headers=request.headers, content=await request.aread()
        )
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(
            None
        )  # else Django gives it another connection, outside of the test's transaction
        try:
            response = self._network.handle_request(asked)
        finally:
            asyncio._set_running_loop(loop)
        return httpx.Response(response.status_code, headers=response.headers, content=response.read())


@contextmanager
def keeping_the_connection() -> Iterator[None]:
    """A request shall not end the test's transaction with its own. Around each: Django's test client puts this back."""
    signals = [
        signal for signal in (request_started, request_finished) if signal.disconnect(close_old_connections)
    ]
    try:
        yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)
