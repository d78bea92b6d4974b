"""Connections that are kept open between requests: one pool for each process that forked, or for each event loop."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar

import httpx

Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)


class Opened(Generic[Http]):
    """What is kept open, and how many requests are under way through it: it is let go of after the last of them."""

    def __init__(self, http: Http) -> None:
        self.http: Http = http
        self._requests, self._is_given_up = 0, False
        self._lock = (
            threading.Lock()
        )  # a forked child has an Opened of its own, so it never waits for this one

    def begin(self) -> bool:
        """Count one more request. False: it was given up meanwhile."""
        with self._lock:
            self._requests += not self._is_given_up
            return not self._is_given_up

    def end(self) -> bool:
        """Whether it is to be closed now."""
        with self._lock:
            self._requests -= 1
            return self._is_given_up and self._requests == 0

    def give_up(self) -> bool:
        """Whether it is to be closed now, and not by the last request."""
        with self._lock:
            self._is_given_up = True
            return self._requests == 0


class Pool:
    """Opened when it is first needed. A forked child never speaks through its parent's sockets: it opens its own."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        # Of several threads that open one at once, one's is kept.
        self._by_process: dict[int, Opened[httpx.Client]] = {}

    @property
    def http(self) -> httpx.Client:
        return self._opened().http

    @contextmanager
    def lent(self) -> Iterator[httpx.Client]:
        """For one request: it stays open until this ends, whoever hangs up meanwhile."""
        while not (opened := self._opened()).begin():
            pass  # given up just now: the next one is a new one
        try:
            yield opened.http
        finally:
            if opened.end():
                opened.http.close()

    def close(self) -> None:
        """Hang up, after the requests that are under way. Whoever asks again opens new connections."""
        opened = self._by_process.pop(os.getpid(), None)
        if opened and opened.give_up():
            opened.http.close()

    def _opened(self) -> Opened[httpx.Client]:
        process = os.getpid()
        return self._by_process.get(process) or self._by_process.setdefault(
            process, Opened(httpx.Client(**self._options))
        )


class AsyncPool:
    """Opened when it is first needed in an event loop: a connection serves the one in which it was opened."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._by_loop: dict[asyncio.AbstractEventLoop, Opened[httpx.AsyncClient]] = {}

    @property
    def http(self) -> httpx.AsyncClient:
        return self._opened().http

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[httpx.AsyncClient]:
        """As Pool's."""
        while not (opened := self._opened()).begin():
            pass
        try:
            yield opened.http
        finally:
            if opened.end():
                await opened.http.aclose()

    async def close(self) -> None:
        """As Pool's."""
        opened = self._by_loop.pop(asyncio.get_running_loop(), None)
        if opened and opened.give_up():
            await opened.http.aclose()

    def _opened(self) -> Opened[httpx.AsyncClient]:
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            self._forget_closed_loops()
            self._by_loop[loop] = Opened(httpx.AsyncClient(**self._options))
        return self._by_loop[loop]

    def _forget_closed_loops(self) -> None:
        """No request can be made in them any more, nor can what they had open be closed politely."""
        for loop in [loop for loop in [*self._by_loop] if loop.is_closed()]:
            self._by_loop.pop(loop, None)
