"""Bodies of requests on their way in: who sends one slowly, or stops in the middle, keeps only so many threads."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest

from zenweb.accounts.addresses import address_in, network_of
from zenweb.exceptions import ServerBusy

SHARE = Fraction(3, 4)  # of the threads, in which bodies may be read at once; others answer what has none
OF_ONE = Fraction(1, 4)  # of the threads, for one network
WAITING = Fraction(1, 2)  # of the threads, which may wait for that
PATIENCE = 2.0  # seconds
BUSY = (
    "Too many requests from here have not sent all of what they announced. Ask again when those are through."
)

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class TooManyUnfinished(ServerBusy, BadRequest):
    """Django knows it as what it is where a form is read before any view is called."""


class Readers:
    """Those of one process that read the body of a request: a body that has arrived takes them no time at all."""

    def __init__(self) -> None:
        self._reading = Counter[str]()
        self._waiting = 0
        self._changed = threading.Condition()

    @contextmanager
    def place(self, network: str) -> Iterator[None]:
        """For one look at what has arrived, which may take as long as the sender likes. Raises TooManyUnfinished."""
        with self._changed:
            self._take(network)
        try:
            yield
        finally:
            with self._changed:
                self._reading[network] -= 1
                if not self._reading[network]:
                    del self._reading[network]
                self._changed.notify_all()

    def _take(self, network: str) -> None:
        """Whoever finds all places taken waits a moment, for most are left at once."""
        if not self._is_room(network):
            if self._waiting >= max(1, int(settings.WEB_THREADS * WAITING)):
                raise TooManyUnfinished(BUSY)
            self._waiting += 1
            try:
                if not self._changed.wait_for(lambda: self._is_room(network), PATIENCE):
                    raise TooManyUnfinished(BUSY)
            finally:
                self._waiting -= 1
        self._reading[network] += 1

    def _is_room(self, network: str) -> bool:
        most, of_one = (max(1, int(settings.WEB_THREADS * share)) for share in (SHARE, OF_ONE))
        return self._reading.total() < most and self._reading[network] < of_one


class Body:
    """What the server reads a request's body from; each look takes a place among the readers."""

    def __init__(self, sent: Any, network: str, readers: Readers) -> None:
        self._sent, self._network, self._readers = sent, network, readers

    def read(self, *size: int) -> bytes:
        with self._readers.place(self._network):
            return bytes(self._sent.read(*size))

    def readline(self, *size: int) -> bytes:
        with self._readers.place(self._network):
            return bytes(self._sent.readline(*size))


def bounding_readers(application: Application) -> Application:
    """The application, of whose threads those who send slowly leave some to others."""
    readers = Readers()

    def bounded(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        network = network_of(address_in(environ))
        environ["wsgi.input"] = Body(environ["wsgi.input"], network, readers)
        return application(environ, start_response)

    return bounded
