"""Requests to the server: connections that are used again, and repeats that cannot act twice.

`zenweb/aio/transport.py` is written from this file by `make docs`.
"""

import functools
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from zenweb import connection
from zenweb.answers import (
    KEY_HEADER,
    REPEATABLE,
    Outcome,
    authorization,
    broken_off,
    error_told_by,
    give_key,
    is_worth_another_try,
    json_of,
    unreachable,
    was_not_sent,
)
from zenweb.arriving import arriving
from zenweb.connection import Connection, is_this_machine
from zenweb.pools import Pool

API = "/api/v1"
TIMEOUT = httpx.Timeout(30, connect=5)
FILE_TIMEOUT = httpx.Timeout(300, connect=5)
# Seconds before a repeat. Spread, so that many clients do not come back to a restarted server in step.
PAUSES = (0.1, 0.4, 1.0)
_spread = random.SystemRandom()


class Transport:
    """Speaks JSON with one server as one user, or without a key as nobody.

    Threads may share it, and processes that forked.
    """

    def __init__(
        self,
        server_url: str,
        api_key: str,
        http: httpx.BaseTransport | None = None,
        project: str | None = None,
    ) -> None:
        self.server_url = server_url
        self._pool = Pool(
            base_url=server_url + API,
            params={"project": project} if project else None,
            headers={"X-ZenWeb-Channel": connection.channel, **authorization(api_key)},
            timeout=TIMEOUT,
            transport=http,
            trust_env=not is_this_machine(server_url),  # a proxy does not reach this machine
            # To read all authorities' certificates takes longer than to ask something, and without TLS none is needed.
            verify=not server_url.startswith("http://"),
        )

    def get(self, path: str, **params: Any) -> Any:
        return self.request(
            "GET", path, params={name: value for name, value in params.items() if value is not None}
        )

    def post(
        self,
        path: str,
        body: Any = None,
        *,
        idempotency_key: str | None = None,
        is_repeatable: bool = False,
        gives_up: bool = False,
    ) -> Any:
        """`idempotency_key`: for what makes a run; the server acts once on all requests that carry the same."""
        headers = {KEY_HEADER: idempotency_key} if idempotency_key is not None else None
        return self.request(
            "POST", path, is_repeatable=is_repeatable, gives_up=gives_up, json=body, headers=headers
        )

    def put(self, path: str, body: Any, *, is_repeatable: bool = True) -> Any:
        return self.request("PUT", path, is_repeatable=is_repeatable, json=body)

    def delete(self, path: str, *, is_repeatable: bool = True) -> Any:
        return self.request("DELETE", path, is_repeatable=is_repeatable)

    def request(
        self,
        method: str,
        path: str,
        *,
        is_repeatable: bool | None = None,
        gives_up: bool = False,
        **content: Any,
    ) -> Any:
        """The answer's JSON. Raises the error that the server told, or ServerUnreachable.

        It is sent again where the connection failed. What would do something else when it comes twice has an
        Idempotency-Key for that, by which the server acts once: all but what `is_repeatable`, which is, where it is not
        said, every method but POST. `gives_up`: it is not sent again once it was sent, for the next one will do.
        """
        if is_repeatable is None:
            is_repeatable = method in REPEATABLE
        with self._pool.lent() as http:
            request = http.build_request(method, path, **content)
            if not (is_repeatable or gives_up):
                give_key(request)
            response, may_be_done = self._send(http, request, is_repeatable=not gives_up)
        is_gone = method == "DELETE" and response.status_code == HTTPStatus.NOT_FOUND
        if is_gone and may_be_done and KEY_HEADER not in request.headers:
            return None
        if not response.is_success:
            raise error_told_by(response)
        return None if method == "HEAD" else json_of(response)

    def stream(self, path: str, **params: Any) -> Iterator[Any]:
        """The JSON of each line of an answer that goes on; ends when the server ends it.

        Raises ServerUnreachable when it breaks off: what was heard is not heard again.
        """
        try:
            with self._pool.lent() as http, http.stream("GET", path, params=params) as response:
                if not response.is_success:
                    response.read()
                    raise error_told_by(response)
                for line in response.iter_lines():
                    if line:
                        yield json.loads(line)
        except httpx.TransportError as error:
            raise broken_off(self.server_url, error) from error

    def download(self, path: str, target: Path) -> None:
        """The answer's bytes as a file, whose folder is made. Raises as `request`, and then `target` is as it was."""
        with self.opened(path) as response:  # noqa: SIM117  # in an event loop only this one is waited for
            with arriving(target) as part, part.open("wb") as file:
                for piece in response.iter_bytes():
                    file.write(piece)

    @contextmanager
    def opened(self, path: str) -> Iterator[httpx.Response]:
        """A file's answer while its bytes still come. Raises as `request`, also when it breaks off."""
        with self._pool.lent() as http:
            request = http.build_request("GET", path, timeout=FILE_TIMEOUT)
            response, _ = self._send(http, request, is_repeatable=True, stream=True)
            try:
                if not response.is_success:
                    raise error_told_by(response)
                yield response
            except httpx.TransportError as error:
                raise broken_off(self.server_url, error) from error
            finally:
                response.close()

    def close(self) -> None:
        """Hang up, after the requests that are under way. Whoever asks again opens new connections."""
        self._pool.close()

    def _send(
        self, http: httpx.Client, request: httpx.Request, *, is_repeatable: bool, stream: bool = False
    ) -> tuple[httpx.Response, bool]:
        """The answer, and whether it may come late: after a try that got there and whose answer was lost.

        `stream`: without its bytes yet, unless it tells an error.
        """
        outcome, may_be_done = self._attempt(http, request, stream), False
        for pause in PAUSES:
            if not is_worth_another_try(outcome, is_repeatable=is_repeatable):
                break
            time.sleep(pause * _spread.uniform(0.5, 1.5))
            may_be_done = may_be_done or not isinstance(outcome, httpx.ConnectError)
            outcome = self._attempt(http, request, stream)
        if isinstance(outcome, httpx.TransportError):
            # What starts a run is repeatable only as long as its key is known, which the error then tells.
            is_doubtful = not is_repeatable or KEY_HEADER in request.headers
            got_there = may_be_done or not was_not_sent(outcome)
            doubtful = request if is_doubtful and got_there else None
            raise unreachable(self.server_url, outcome, doubtful) from outcome
        return outcome, may_be_done

    def _attempt(self, http: httpx.Client, request: httpx.Request, stream: bool) -> Outcome:
        try:
            response = http.send(request, stream=stream)
            if stream and not response.is_success:
                response.read()
            return response
        except httpx.TransportError as error:
            return error


def shared_transport(connection: Connection) -> Transport:
    """The transport of this connection, with the sockets it keeps open between calls."""
    return _transport(connection.server_url, connection.api_key, connection.project)


@functools.lru_cache(maxsize=8)
def _transport(server_url: str, api_key: str, project: str | None) -> Transport:
    return Transport(server_url, api_key, project=project)
