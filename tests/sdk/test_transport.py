"""Requests survive a lost connection without acting twice, and errors arrive as ours. Only the network is replaced."""

import httpx
import pytest

from zenweb import exceptions
from zenweb.connection import Connection
from zenweb.transport import PAUSES, Transport, shared_transport


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    taken = []
    monkeypatch.setattr("time.sleep", taken.append)
    return taken


@pytest.fixture
def answering():
    """A transport whose network gives these answers or errors, one after the other; and the requests it saw."""

    def make(*outcomes):
        remaining, requests = list(outcomes), []

        def answer(request):
            requests.append(request)
            outcome = remaining.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return Transport("http://server:8000", "key", httpx.MockTransport(answer)), requests

    return make


def test_a_request_carries_key_channel_and_an_idempotency_key(answering):
    transport, requests = answering(httpx.Response(200, text="null"), httpx.Response(200, json={"a": 1}))
    assert (transport.post("/x", {"b": 2}), transport.get("/y", page=1, name=None)) == (None, {"a": 1})
    first, second = requests
    assert first.headers["Authorization"] == "Bearer key"
    assert (str(first.url), str(second.url)) == (
        "http://server:8000/api/v1/x",
        "http://server:8000/api/v1/y?page=1",
    )
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


def test_a_repeat_after_a_lost_connection_has_the_same_key_and_body(answering, pauses):
    transport, requests = answering(
        httpx.ReadError("reset"), httpx.Response(503), httpx.Response(200, json={"done": True})
    )
    assert transport.post("/x", {"b": 2}) == {"done": True}
    assert len({request.headers["Idempotency-Key"] for request in requests}) == 1
    assert len({request.content for request in requests}) == 1
    assert len(pauses) == 2


def test_an_unreachable_server_is_one_sentence_with_address_cause_and_what_to_do(answering):
    transport, requests = answering(*[httpx.ConnectError("[Errno 111] Connection refused")] * 4)
    with pytest.raises(exceptions.ServerUnreachable) as unreachable:
        transport.get("/x")
    assert str(unreachable.value) == (
        "No ZenWeb server answers at http://server:8000 (Connection refused): start one with `zenweb up`, "
        "or choose another with `zenweb login URL`."
    )
    assert len(requests) == 1 + len(PAUSES)


def test_a_timeout_is_not_repeated(answering, pauses):
    transport, _ = answering(httpx.ReadTimeout("slow"))
    with pytest.raises(exceptions.ServerUnreachable, match="no answer in time"):
        transport.get("/x")
    assert pauses == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, exceptions.MalformedRequest),
        (401, exceptions.CredentialsNotValid),
        (403, exceptions.NotAllowed),
        (404, exceptions.DoesNotExist),
        (409, exceptions.EntityExists),
        (422, exceptions.ValidationFailed),
        (500, exceptions.ZenWebError),
    ],
)
def test_an_error_of_the_server_is_raised_as_ours_with_its_sentence(answering, status, kind):
    transport, _ = answering(httpx.Response(status, json={"detail": ["ValueError", "Because."]}))
    with pytest.raises(kind) as error:
        transport.get("/x")
    assert (type(error.value), str(error.value)) == (kind, "Because.")


def test_every_refused_field_is_told_with_its_pointer(answering):
    errors = [{"pointer": "/steps/a", "message": "No."}, {"pointer": "/run_name", "message": "Too long."}]
    transport, _ = answering(httpx.Response(422, json={"detail": ["ValueError", "x"], "errors": errors}))
    with pytest.raises(exceptions.ValidationFailed) as refused:
        transport.post("/x")
    assert [(error.pointer, error.message) for error in refused.value.errors] == [
        ("/steps/a", "No."),
        ("/run_name", "Too long."),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(405, text="<html>"),
        httpx.Response(301, headers={"Location": "https://server"}),
    ],
)
def test_an_answer_of_something_else_is_recognised(answering, answer):
    transport, _ = answering(answer)
    with pytest.raises(exceptions.ZenWebError, match="is it the address of a ZenWeb server"):
        transport.get("/x")


def test_zenmls_bare_list_of_errors_is_understood(answering):
    transport, _ = answering(httpx.Response(422, json=["ValueError", "Because."]))
    with pytest.raises(exceptions.ValidationFailed, match=r"^Because\.$"):
        transport.get("/x")


def test_one_pool_is_reused_but_not_by_a_forked_process(monkeypatch):
    connection = Connection("http://server:8000", "key")
    mine = shared_transport(connection)
    assert shared_transport(connection) is mine
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert shared_transport(connection) is not mine


def test_without_a_key_no_header_is_sent_and_blanks_around_one_are_dropped():
    headers = [Transport("http://server", key)._http.headers.get("Authorization") for key in ("", " k\n")]
    assert headers == [None, "Bearer k"]


@pytest.mark.parametrize("key", ["schlüssel", "two words", "two\nlines"])
def test_a_key_that_no_header_can_hold_is_a_sentence_without_the_key(key):
    with pytest.raises(exceptions.CredentialsNotValid, match="This is no API key") as refusal:
        Transport("http://server", key)
    assert key not in str(refusal.value)
