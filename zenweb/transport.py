"""Requests to the server: one pool of connections, repeats that cannot act twice, and answers or errors of ours."""

import functools
import json
import os
import random
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from zenweb import connection
from zenweb.connection import Connection, is_this_machine
from zenweb.enums import DeviceLoginError
from zenweb.exceptions import (
    BodyTooLarge,
    CredentialsNotValid,
    DeviceLoginUnfinished,
    DoesNotExist,
    EntityExists,
    FieldError,
    MalformedRequest,
    NotAllowed,
    ServerUnreachable,
    ValidationFailed,
    ZenWebError,
)

API = "/api/v1"
TIMEOUT = httpx.Timeout(30, connect=5)
# After the last byte of a file a store in the cloud may take its time.
FILE_TIMEOUT = httpx.Timeout(300, connect=5)
# Seconds before a repeat. Spread, so that many clients do not come back to a restarted server in step.
PAUSES = (0.1, 0.4, 1.0)
_spread = random.SystemRandom()
# What a proxy answers while the server behind it restarts.
PASSING = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
# What a header can hold; keys and tokens have no blanks.
KEY = re.compile(r"[\x21-\x7e]+")
ERRORS: Mapping[int, type[ZenWebError]] = {
    HTTPStatus.BAD_REQUEST: MalformedRequest,
    HTTPStatus.UNAUTHORIZED: CredentialsNotValid,
    HTTPStatus.FORBIDDEN: NotAllowed,
    HTTPStatus.NOT_FOUND: DoesNotExist,
    HTTPStatus.CONFLICT: EntityExists,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: BodyTooLarge,
}


class Transport:
    """Speaks JSON with one server as one user, or without a key as nobody. Threads may share it, processes may not."""

    def __init__(
        self,
        server_url: str,
        api_key: str,
        http: httpx.BaseTransport | None = None,
        project: str | None = None,
    ) -> None:
        self.server_url = server_url
        self._http = httpx.Client(
            base_url=server_url + API,
            params={"project": project} if project else None,
            headers={"X-ZenWeb-Channel": connection.channel, **_authorization(api_key)},
            timeout=TIMEOUT,
            transport=http,
            trust_env=not is_this_machine(server_url),  # a proxy does not reach this machine
        )

    def get(self, path: str, **params: Any) -> Any:
        return self.request(
            "GET", path, params={name: value for name, value in params.items() if value is not None}
        )

    def post(self, path: str, body: Any = None) -> Any:
        return self.request("POST", path, json=body)

    def put(self, path: str, body: Any) -> Any:
        return self.request("PUT", path, json=body)

    def delete(self, path: str) -> Any:
        return self.request("DELETE", path)

    def request(self, method: str, path: str, **content: Any) -> Any:
        """The answer's JSON. Raises the error that the server told, or ServerUnreachable.

        Every repeat carries the same Idempotency-Key, so a request whose answer was lost does not act again.
        """
        headers = {"Idempotency-Key": str(uuid.uuid4()), **content.pop("headers", {})}
        response = self._send(self._http.build_request(method, path, headers=headers, **content))
        if not response.is_success:
            raise _error_told_by(response)
        return None if method == "HEAD" else _json(response)

    def stream(self, path: str, **params: Any) -> Iterator[Any]:
        """The JSON of each line of an answer that goes on; ends when the server ends it.

        Raises ServerUnreachable when it breaks off: what was heard is not heard again.
        """
        try:
            with self._http.stream("GET", path, params=params) as response:
                if not response.is_success:
                    response.read()
                    raise _error_told_by(response)
                for line in response.iter_lines():
                    if line:
                        yield json.loads(line)
        except httpx.TransportError as error:
            raise ServerUnreachable(
                f"The connection to {self.server_url} broke off ({_reason(error)})."
            ) from error

    def download(self, path: str, target: Path) -> None:
        """The answer's bytes as a file. Raises as `request`; nothing is left at `target` when it breaks off."""
        try:
            with self._http.stream("GET", path, timeout=FILE_TIMEOUT) as response:
                if not response.is_success:
                    response.read()
                    raise _error_told_by(response)
                with target.open("wb") as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
        except httpx.TransportError as error:
            target.unlink(missing_ok=True)
            raise ServerUnreachable(
                f"The connection to {self.server_url} broke off ({_reason(error)})."
            ) from error

    def _send(self, request: httpx.Request) -> httpx.Response:
        outcome = self._attempt(request)
        for pause in PAUSES:
            if not _may_pass(outcome):
                break
            time.sleep(pause * _spread.uniform(0.5, 1.5))
            outcome = self._attempt(request)
        if isinstance(outcome, httpx.TransportError):
            raise ServerUnreachable(
                f"No ZenWeb server answers at {self.server_url} ({_reason(outcome)}): start one with `zenweb up`, "
                "or choose another with `zenweb login URL`."
            ) from outcome
        return outcome

    def _attempt(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        try:
            return self._http.send(request)
        except httpx.TransportError as error:
            return error


def _authorization(api_key: str) -> dict[str, str]:
    """The header that says who asks; none without a key, for an empty one cannot be sent."""
    key = api_key.strip()  # a file or a variable often ends with a line break
    if not key:
        return {}
    if not KEY.fullmatch(key):
        raise CredentialsNotValid(
            "This is no API key: it has blanks, line breaks or letters inside that no key has. "
            "Copy the key once more, whole and alone."
        )
    return {"Authorization": f"Bearer {key}"}


def shared_transport(connection: Connection) -> Transport:
    """The transport of this connection, with the sockets it keeps open between calls."""
    return _transport(connection.server_url, connection.api_key, connection.project, os.getpid())


@functools.lru_cache(maxsize=8)
def _transport(server_url: str, api_key: str, project: str | None, process: int) -> Transport:
    # `process` because a forked child must not speak through its parent's sockets.
    return Transport(server_url, api_key, project=project)


def _may_pass(outcome: httpx.Response | httpx.TransportError) -> bool:
    """Whether it is worth another try. Not after a timeout: somebody has waited long enough."""
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in PASSING
    return not isinstance(outcome, httpx.TimeoutException)


def _reason(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise ZenWebError(
            f"{response.url} answered something else than JSON: is it the address of a ZenWeb server?"
        ) from error


def _error_told_by(response: httpx.Response) -> ZenWebError:
    told = _told(response)
    detail = told.get("detail")
    if not isinstance(
        detail, list
    ):  # no error of ours: a route or a server that does not know what was asked for
        phrase = f"{response.status_code} {response.reason_phrase}".strip()
        return ERRORS.get(response.status_code, ZenWebError)(
            f"{response.request.method} {response.url} answered {phrase}: is it the address of a ZenWeb server?"
        )
    message = str(detail[-1])
    if told.get("error") in list(DeviceLoginError):
        return DeviceLoginUnfinished(DeviceLoginError(told["error"]), message)
    if response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
        fields = [
            FieldError(str(entry["pointer"]), str(entry["message"])) for entry in told.get("errors") or ()
        ]
        return ValidationFailed(fields or message)
    return ERRORS.get(response.status_code, ZenWebError)(message)


def _told(response: httpx.Response) -> dict[str, Any]:
    try:
        told = response.json()
    except ValueError:
        return {}
    if isinstance(told, list):  # as ZenML's server has it
        return {"detail": told}
    return told if isinstance(told, dict) else {}
