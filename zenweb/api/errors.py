"""The one place where an error becomes an answer: `{"detail": [class, message]}` as ZenML's clients expect it."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.db import DataError, IntegrityError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.defaults import bad_request, server_error
from rest_framework import exceptions as rest
from rest_framework.response import Response

from zenweb.exceptions import (
    CredentialsNotValid,
    DeviceLoginUnfinished,
    RangeNotSatisfiable,
    ServerBusy,
    TooManyTries,
    ValidationFailed,
    ZenWebError,
)

logger = logging.getLogger(__name__)
UNEXPECTED = {"detail": ["RuntimeError", "Something went wrong on the server. Its log says more."]}
UNSTORABLE = "A text here is too long, or has a character (NUL) that the database does not take."
# What Django finds while it reads a form or an address.
UNREADABLE: dict[type[Exception], tuple[str, int]] = {
    RequestDataTooBig: ("The body is larger than this server accepts.", 413),
    TooManyFieldsSent: ("There are more fields in the address or the form than this server reads.", 422),
}
AT_ONCE = "Somebody asked for the same at the same moment. Look whether it is there; if not, ask again."
NO_DATABASE = "The database does not answer, or is too busy. Please try again."
BEARER = {"WWW-Authenticate": "Bearer"}


def answer_error(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler. What nobody foresaw is a 500, and in the log."""
    if isinstance(error, ZenWebError):
        return _answer_ours(error)
    if isinstance(error, Http404):
        return Response({"detail": ["KeyError", str(error) or "There is no such thing."]}, 404)
    if isinstance(error, rest.NotAuthenticated | rest.AuthenticationFailed):
        sentence = "No credentials: send `Authorization: Bearer <API key>`."
        return Response({"detail": ["CredentialsNotValid", sentence]}, 401, headers=BEARER)
    if isinstance(error, PermissionDenied | rest.PermissionDenied):
        return Response({"detail": ["IllegalOperationError", str(error) or "You may not do this."]}, 403)
    if isinstance(error, rest.APIException):
        return Response({"detail": ["ValueError", _flat(error.detail)]}, error.status_code)
    if type(error) in UNREADABLE:
        sentence, status = UNREADABLE[type(error)]
        return Response({"detail": ["ValueError", sentence]}, status)
    if isinstance(error, IntegrityError):
        logger.warning("Two requests wanted the same in %s.", context["request"].path, exc_info=error)
        return Response({"detail": ["EntityExistsError", AT_ONCE]}, 409)
    if isinstance(error, DataError):
        return Response({"detail": ["ValueError", UNSTORABLE]}, 422)
    logger.error("Unexpected error in %s.", context["request"].path, exc_info=error)
    if isinstance(error, OperationalError):
        return Response({"detail": ["RuntimeError", NO_DATABASE]}, 503, headers={"Retry-After": "5"})
    return Response(UNEXPECTED, 500)


def answer_bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What a request answers that no view was asked about; with our own words if we have some."""
    if isinstance(exception, ZenWebError):
        answer = render(request, "400.html", {"sentence": str(exception)}, status=exception.http_status)
        for name, value in _times(exception).items():
            answer[name] = value
        return answer
    return bad_request(request, exception)


def answer_unexpected(request: HttpRequest) -> HttpResponse:
    """What an error that nobody foresaw answers, in the language of whoever asked."""
    if request.path.startswith("/api/"):
        return JsonResponse(UNEXPECTED, status=500)
    return server_error(request)


@csrf_exempt
def not_found(request: HttpRequest, path: str = "") -> JsonResponse:
    """What an address that is no route answers."""
    return JsonResponse({"detail": "Not Found"}, status=404)


def _answer_ours(error: ZenWebError) -> Response:
    if isinstance(error, DeviceLoginUnfinished):
        # As OAuth's clients read it, and nothing else: ZenML's die of a key that they do not know.
        told = {"error": error.reason.value, "error_description": str(error)}
        return Response(told, error.http_status)
    answer: dict[str, Any] = {"detail": [error.wire_class, str(error)]}
    if isinstance(error, ValidationFailed):
        answer["errors"] = [{"pointer": entry.pointer, "message": entry.message} for entry in error.errors]
    headers = dict(BEARER) if isinstance(error, CredentialsNotValid) else {}
    headers |= _times(error)
    if isinstance(error, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.size}"
    return Response(answer, error.http_status, headers=headers)


def _times(error: ZenWebError) -> dict[str, str]:
    """When to ask again."""
    is_passing = isinstance(error, TooManyTries | ServerBusy)
    return {"Retry-After": str(error.retry_after)} if is_passing else {}


def _flat(detail: Any) -> str:
    if isinstance(detail, dict):
        return "; ".join(f"{name}: {_flat(value)}" for name, value in detail.items())
    return "; ".join(_flat(value) for value in detail) if isinstance(detail, list) else str(detail)
