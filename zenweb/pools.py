"""Connections that are kept open between requests: one pool for each process that forked, or for each event loop."""

import asyncio
import os
from typing import Any
from weakref import WeakKeyDictionary

import httpx


class Pool:
    """Opened when it is first needed. A forked child never speaks through its parent's sockets: it opens its own."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._by_process: dict[
            int, httpx.Client
        ] = {}  # of several threads that open one at once, one's is kept

    @property
    def http(self) -> httpx.Client:
        process = os.getpid()
        return self._by_process.get(process) or self._by_process.setdefault(
            process, httpx.Client(**self._options)
        )

    def close(self) -> None:
        """Hang up. Whoever asks again opens new connections."""
        if opened := self._by_process.pop(os.getpid(), None):
            opened.close()


class AsyncPool:
    """Opened when it is first needed in an event loop: a connection serves the one in which it was opened."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    @property
    def http(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            self._by_loop[loop] = httpx.AsyncClient(**self._options)
        return self._by_loop[loop]

    async def close(self) -> None:
        """As Pool's."""
        if opened := self._by_loop.pop(asyncio.get_running_loop(), None):
            await opened.aclose()
