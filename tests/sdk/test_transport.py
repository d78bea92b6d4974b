"""Requests survive a lost connection without acting twice, and errors arrive as ours. Only the network is replaced."""

import os
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from zenweb import exceptions
from zenweb.arriving import arriving
from zenweb.connection import Connection
from zenweb.responses.launching import start_run
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


def test_a_request_carries_the_key_and_the_channel(answering):
    transport, requests = answering(httpx.Response(200, text="null"), httpx.Response(200, json={"a": 1}))
    assert (transport.post("/x", {"b": 2}), transport.get("/y", page=1, name=None)) == (None, {"a": 1})
    first, second = requests
    assert (first.headers["Authorization"], first.headers["X-ZenWeb-Channel"]) == ("Bearer key", "sdk")
    assert (str(first.url), str(second.url)) == (
        "http://server:8000/api/v1/x",
        "http://server:8000/api/v1/y?page=1",
    )


def test_a_repeat_after_a_lost_connection_has_the_same_key_and_body(answering, pauses):
    transport, requests = answering(
        httpx.ReadError("reset"), httpx.Response(503), httpx.Response(200, json={"done": True})
    )
    assert transport.post("/x", {"b": 2}, idempotency_key="once") == {"done": True}
    assert {request.headers["Idempotency-Key"] for request in requests} == {"once"}
    assert len({request.content for request in requests}) == 1
    assert len(pauses) == 2


LOST = [httpx.ReadError("reset"), httpx.RemoteProtocolError("Server disconnected"), httpx.Response(502)]


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_could_act_twice_is_sent_again_with_a_key_of_its_own(answering, lost, method):
    transport, requests = answering(lost, *[httpx.Response(200, json=1)] * 2)
    for _ in range(2):
        assert transport.request(method, "/schedules", is_repeatable=False) == 1
    first, again, other = (request.headers["Idempotency-Key"] for request in requests)
    assert first == again != other


@pytest.mark.parametrize("lost", LOST)
def test_what_is_soon_told_anew_is_not_sent_again_once_it_was_sent(answering, lost):
    transport, requests = answering(lost)
    with pytest.raises(exceptions.ServerUnreachable):
        transport.post("/progress", {}, gives_up=True)
    [request] = requests
    assert "Idempotency-Key" not in request.headers


def test_a_key_that_its_sender_does_not_know_is_not_told(answering):
    transport, _ = answering(httpx.ReadTimeout("slow"))
    with pytest.raises(exceptions.ServerUnreachable) as lost:
        transport.post("/schedules", {})
    assert str(lost.value).endswith("(POST /api/v1/schedules) is not known: look before you ask again.")
    assert lost.value.idempotency_key is None


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_what_cannot_act_twice_is_sent_again(answering, lost, method):
    transport, requests = answering(lost, httpx.Response(200, json=1))
    assert transport.request(method, "/x", is_repeatable=True if method == "POST" else None) == 1
    assert len(requests) == 2
    assert not any("Idempotency-Key" in request.headers for request in requests)


def test_what_never_got_there_is_sent_again_whatever_it_is(answering):
    transport, requests = answering(httpx.ConnectError("refused"), httpx.Response(200, json=1))
    assert transport.post("/schedules", {}) == 1
    assert len(requests) == 2


@pytest.mark.parametrize("status", [500, 503])
def test_what_the_server_itself_refuses_is_not_asked_again(answering, status, pauses):
    transport, _ = answering(httpx.Response(status, json={"detail": ["RuntimeError", "Busy."]}))
    with pytest.raises(exceptions.ZenWebError, match=r"^http://server:8000: Busy\.$"):
        transport.get("/x")
    assert pauses == []


def test_what_was_deleted_by_the_try_whose_answer_was_lost_is_deleted(answering):
    gone = httpx.Response(404, json={"detail": ["KeyError", "There is no schedule."]})
    transport, _ = answering(httpx.ReadError("reset"), gone)
    transport.delete("/schedules/x")
    transport, _ = answering(httpx.ConnectError("refused"), gone)
    with pytest.raises(exceptions.DoesNotExist):
        transport.delete("/schedules/x")


def test_an_unreachable_server_is_one_sentence_with_address_cause_and_what_to_do(answering):
    transport, requests = answering(*[httpx.ConnectError("[Errno 111] Connection refused")] * 4)
    with pytest.raises(exceptions.ServerUnreachable) as unreachable:
        transport.get("/x")
    assert str(unreachable.value) == (
        "No ZenWeb server answers at http://server:8000 (Connection refused): see whether it runs and this machine may "
        "reach it, or choose another with `zenweb login URL`."
    )
    assert len(requests) == 1 + len(PAUSES)


def test_a_timeout_is_not_repeated(answering, pauses):
    transport, _ = answering(httpx.ReadTimeout("slow"))
    with pytest.raises(exceptions.ServerUnreachable, match="did not answer in time"):
        transport.get("/x")
    assert pauses == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, exceptions.MalformedRequest),
        (403, exceptions.NotAllowed),
        (404, exceptions.DoesNotExist),
        (409, exceptions.EntityExists),
        (422, exceptions.ValidationFailed),
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


def test_connections_are_reused_but_not_by_a_forked_process(monkeypatch):
    connection = Connection("http://server:8000", "key")
    mine = shared_transport(connection)
    parents = mine._pool.http
    assert shared_transport(connection)._pool.http is parents
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert mine._pool.http is not parents
    monkeypatch.undo()
    assert mine._pool.http is parents


def test_a_transport_that_was_closed_opens_new_connections(answering):
    transport, requests = answering(httpx.Response(200, json=1), httpx.Response(200, json=2))
    assert transport.get("/x") == 1
    closed = transport._pool.http
    transport.close()
    assert (closed.is_closed, transport.get("/x"), len(requests)) == (True, 2, 2)


def test_hanging_up_waits_for_the_requests_that_others_have_under_way():
    under_way = []

    def answer(request):
        under_way.append(transport._pool.http)
        transport.close()
        under_way.append(under_way[0].is_closed)
        return httpx.Response(200, json=1)

    transport = Transport("http://server:8000", "key", httpx.MockTransport(answer))
    assert transport.get("/x") == 1
    asked, was_closed = under_way
    assert (was_closed, asked.is_closed, transport._pool.http is asked) == (False, True, False)


def test_threads_share_one_pool(answering):
    transport, _ = answering()
    with ThreadPoolExecutor(8) as threads:
        pools = set(threads.map(lambda _: transport._pool.http, range(64)))
    assert len(pools) == 1


def test_without_a_key_no_header_is_sent_and_blanks_around_one_are_dropped():
    headers = [
        Transport("http://server", key)._pool.http.headers.get("Authorization") for key in ("", " k\n")
    ]
    assert headers == [None, "Bearer k"]


@pytest.mark.parametrize("key", ["schlüssel", "two words", "two\nlines"])
def test_a_key_that_no_header_can_hold_is_a_sentence_without_the_key(key):
    with pytest.raises(exceptions.CredentialsNotValid, match="This is no API key") as refusal:
        Transport("http://server", key)
    assert key not in str(refusal.value)


@pytest.mark.parametrize(
    "outcomes",
    [
        [httpx.ReadTimeout("slow")],
        [httpx.ReadError("reset")] * 4,
        [httpx.ReadError("reset"), *[httpx.ConnectError("[Errno 111] Connection refused")] * 3],
        [httpx.Response(502)] * 4,
    ],
)
def test_a_run_that_may_have_started_is_told_with_the_key_that_starts_it_once(answering, outcomes):
    transport, _ = answering(*outcomes)
    with pytest.raises(exceptions.ServerUnreachable) as lost:
        start_run(transport, "/run_templates/x/runs", {}, "today")
    assert str(lost.value).endswith(
        " What was asked for may have started: look with `zenweb run list --mine`. "
        "Asked for again with idempotency_key='today' it starts only once."
    )
    assert lost.value.idempotency_key == "today"


def test_a_run_that_was_never_asked_for_is_not_said_to_have_started(answering):
    transport, _ = answering(*[httpx.ConnectError("[Errno 111] Connection refused")] * 4)
    with pytest.raises(exceptions.ServerUnreachable, match="No ZenWeb server answers") as lost:
        start_run(transport, "/run_templates/x/runs", {}, "today")
    assert (lost.value.idempotency_key, "may have started" in str(lost.value)) == (None, False)


def test_too_many_requests_at_once_are_told_as_that(answering):
    transport, _ = answering(httpx.PoolTimeout(""))
    with pytest.raises(exceptions.ServerUnreachable) as lost:
        transport.get("/x")
    assert str(lost.value) == (
        "http://server:8000 was not asked, for this program had no connection left to it in time. Ask for less at once."
    )


class Breaking(httpx.SyncByteStream):
    def __init__(self, error):
        self._error = error

    def __iter__(self):
        yield b"half"
        raise self._error


@pytest.mark.parametrize(
    ("error", "raised"),
    [(httpx.ReadError("reset"), exceptions.ServerUnreachable), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_a_download_that_breaks_off_leaves_what_was_there(answering, tmp_path, error, raised):
    target = tmp_path / "models" / "model"
    target.parent.mkdir()
    target.write_bytes(b"before")
    transport, _ = answering(httpx.Response(200, stream=Breaking(error)))
    with pytest.raises(raised):
        transport.download("/x", target)
    assert {path.name: path.read_bytes() for path in target.parent.iterdir()} == {"model": b"before"}


def test_a_download_is_asked_for_again_until_it_begins_and_makes_its_folder(answering, tmp_path):
    lost = [httpx.ConnectError("refused"), httpx.ReadError("reset"), httpx.Response(502)]
    transport, requests = answering(*lost, httpx.Response(200, content=b"now"))
    transport.download("/x", tmp_path / "new" / "model")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model"]
    assert ((tmp_path / "new" / "model").read_bytes(), len(requests)) == (b"now", 4)


def test_a_download_from_a_server_that_is_away_says_what_to_do(answering, tmp_path):
    transport, _ = answering(*[httpx.ConnectError("[Errno 111] Connection refused")] * 4)
    with pytest.raises(exceptions.ServerUnreachable, match=r"No ZenWeb server answers .*see whether it runs"):
        transport.download("/x", tmp_path / "new" / "model")
    assert not (tmp_path / "new").exists()


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "model")
    os.mkfifo(tmp_path / "pipe")
    with arriving(tmp_path / "link") as part, arriving(tmp_path / "pipe") as pipe:
        part.write_bytes(b"now")
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "model").read_bytes()) == (True, b"now")
    assert pipe == (tmp_path / "pipe").resolve()
