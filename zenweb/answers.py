"""What an answer of the server means, or that none came: JSON, another try, or an error that says what to do."""

import re
import socket
import ssl
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from zenweb.connection import is_this_machine
from zenweb.enums import DeviceLoginError
from zenweb.exceptions import (
    BodyTooLarge,
    CredentialsNotValid,
    DeviceLoginUnfinished,
    DoesNotExist,
    EntityExists,
    FieldError,
    LengthRequired,
    MalformedRequest,
    NotAllowed,
    ServerBusy,
    ServerUnreachable,
    ValidationFailed,
    ZenWebError,
)

# What a proxy answers that has no connection to the server behind it.
NO_CONNECTION = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)
KEY_HEADER = "Idempotency-Key"
# Those that do the same when they come twice.
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
# What a header can hold; keys and tokens have no blanks.
KEY = re.compile(r"[\x21-\x7e]+")
ERRORS: Mapping[int, type[ZenWebError]] = {
    HTTPStatus.BAD_REQUEST: MalformedRequest,
    HTTPStatus.UNAUTHORIZED: CredentialsNotValid,
    HTTPStatus.FORBIDDEN: NotAllowed,
    HTTPStatus.NOT_FOUND: DoesNotExist,
    HTTPStatus.CONFLICT: EntityExists,
    HTTPStatus.LENGTH_REQUIRED: LengthRequired,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: BodyTooLarge,
    HTTPStatus.TOO_MANY_REQUESTS: ServerBusy,
    HTTPStatus.SERVICE_UNAVAILABLE: ServerBusy,
}
Outcome = httpx.Response | httpx.TransportError


def authorization(api_key: str) -> dict[str, str]:
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


def give_key(request: httpx.Request) -> None:
    """Unless it has one: the server acts once on all that carry the same, so it may be sent again."""
    if KEY_HEADER not in request.headers:
        request.headers[KEY_HEADER] = str(uuid.uuid4())
        request.extensions["key_is_ours"] = True


def key_of(request: httpx.Request) -> str | None:
    """The key that its sender knows, and may ask with again."""
    return None if "key_is_ours" in request.extensions else request.headers.get(KEY_HEADER)


def is_worth_another_try(outcome: Outcome, *, is_repeatable: bool) -> bool:
    """Whether the connection was what failed, and asking again cannot act twice.

    Not after a timeout: somebody has waited long enough.
    """
    if isinstance(outcome, httpx.Response):
        return is_repeatable and outcome.status_code in NO_CONNECTION and not _is_ours(_told(outcome))
    if isinstance(outcome, httpx.ConnectError):  # nothing was sent
        return not _is_about_tls(outcome)
    return is_repeatable and isinstance(outcome, httpx.NetworkError | httpx.RemoteProtocolError)


def json_of(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise ZenWebError(
            f"{response.url} answered something else than JSON: is it the address of a ZenWeb server?"
        ) from error


def error_told_by(response: httpx.Response) -> ZenWebError:
    """The server's own sentence; where something else answered, what that was and what to look at."""
    told = _told(response)
    if told.get("error") in list(DeviceLoginError):  # as OAuth says it
        return DeviceLoginUnfinished(DeviceLoginError(told["error"]), str(told.get("error_description", "")))
    kind = ERRORS.get(response.status_code, ZenWebError)
    if not _is_ours(told):
        return _error_of_another(response, kind)
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        server = _server_of(response.request)
        message = f"{told['detail'][-1]} Sign in with `zenweb login {server}`, or set ZENWEB_API_KEY."
        return kind(f"{server}: {message}")
    if response.is_server_error:
        return kind(f"{_server_of(response.request)}: {told['detail'][-1]}")
    return error_of(response.status_code, told)


def error_of(status: int, told: Mapping[str, Any]) -> ZenWebError:
    """An error of the server's, by what it says and the status that it says it with."""
    message = str(told["detail"][-1])
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        fields = [
            FieldError(str(entry["pointer"]), str(entry["message"])) for entry in told.get("errors") or ()
        ]
        return ValidationFailed(fields or message)
    return ERRORS.get(status, ZenWebError)(message)


def was_not_sent(error: httpx.TransportError) -> bool:
    """Whether nothing of the request can have got to the server."""
    return isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ConnectError | httpx.ProxyError)


def unreachable(
    server_url: str, error: httpx.TransportError, doubtful: httpx.Request | None
) -> ServerUnreachable:
    """No answer came. `doubtful`: what may have been done, and must not be asked for again blindly."""
    if isinstance(error, httpx.PoolTimeout):
        lost = f"{server_url} was not asked, for this program had no connection left to it in time."
        advice = " Ask for less at once."
    elif was_not_sent(error):
        lost = f"No ZenWeb server answers at {server_url} ({reason(error)}): {_advice(server_url, error)}"
        advice = ""
    else:
        lost = (
            f"{server_url} did not answer in time."
            if isinstance(error, httpx.TimeoutException)
            else f"{server_url} broke off the connection ({reason(error)})."
        )
        advice = " Ask again; if that does not help, look into its log."
    if doubtful is None:
        return ServerUnreachable(lost + advice)
    return ServerUnreachable(f"{lost} {_doubt(doubtful)}", key_of(doubtful))


def broken_off(server_url: str, error: httpx.TransportError) -> ServerUnreachable:
    """In the middle of an answer."""
    return ServerUnreachable(f"The connection to {server_url} broke off ({reason(error)}). Ask again.")


def reason(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return re.sub(r"^\[(Errno -?\d+|[A-Z]+: [A-Z_]+)\] ", "", str(error)) or type(error).__name__


def _doubt(request: httpx.Request) -> str:
    """What is not known of a request that may have got there, and what to do before it is made again."""
    if key := key_of(request):
        return (
            "What was asked for may have started: look with `zenweb run list --mine`. "
            f"Asked for again with idempotency_key={key!r} it starts only once."
        )
    asked = f"{request.method} {request.url.path}"
    return f"Whether it has done what was asked for ({asked}) is not known: look before you ask again."


def _advice(server_url: str, error: httpx.TransportError) -> str:
    other = "choose another with `zenweb login URL`."
    if isinstance(error, httpx.ProxyError):
        return "a proxy stands between. Look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
    if _is_about_tls(error):
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return (
                "this machine does not trust its certificate. Name the authority's in SSL_CERT_FILE, or "
                + other
            )
        return f"it does not speak TLS as this machine does. Is http://{urlsplit(server_url).netloc} meant?"
    if isinstance(_origin(error), socket.gaierror):
        return "no machine of that name is known here. Correct the address, or " + other
    if is_this_machine(server_url):
        return "start one with `zenweb up`, or " + other
    return "see whether it runs and this machine may reach it, or " + other


def _is_about_tls(error: httpx.TransportError) -> bool:
    return isinstance(_origin(error), ssl.SSLError)


def _origin(error: BaseException | None) -> OSError | None:
    """What the operating system or TLS said, which httpx has wrapped."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _error_of_another(response: httpx.Response, kind: type[ZenWebError]) -> ZenWebError:
    """No error of ours: a proxy, another program, or a server that does not know what was asked for."""
    phrase = f"{response.status_code} {response.reason_phrase}".strip()
    asked = f"{response.request.method} {response.url} answered {phrase}"
    if response.status_code in NO_CONNECTION:
        told = f"{asked}: a proxy stands there, and no server behind it answers. Is it running?"
        is_doubtful = KEY_HEADER in response.request.headers
        return ServerUnreachable(
            f"{told} {_doubt(response.request)}" if is_doubtful else told, key_of(response.request)
        )
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return kind(f"{asked}: too much was asked at once. Wait {_pause(response)} and ask again.")
    if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return kind(f"{asked}: a proxy there takes no body of this size. Raise its limit, or send less.")
    return kind(f"{asked}: is it the address of a ZenWeb server?")


def _pause(response: httpx.Response) -> str:
    seconds = response.headers.get("Retry-After", "")
    return f"{seconds} seconds" if seconds.isdecimal() else "a moment"


def _server_of(request: httpx.Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc.decode()}"


def _is_ours(told: Mapping[str, Any]) -> bool:
    return isinstance(told.get("detail"), list) and bool(told["detail"])


def _told(response: httpx.Response) -> dict[str, Any]:
    try:
        told = response.json()
    except ValueError:
        return {}
    if isinstance(told, list):  # as ZenML's server has it
        return {"detail": told}
    return told if isinstance(told, dict) else {}
