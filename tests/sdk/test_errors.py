"""Whatever goes wrong on the way: a sentence that names the server, the cause and what to do."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from zenweb import exceptions
from zenweb.transport import Transport

URL = "https://zenweb.example.com"
ASKED = f"GET {URL}/api/v1/x"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("zenweb.transport.PAUSES", ())


@contextmanager
def listening(certificate: Path | None = None) -> Iterator[int]:
    """A port on this machine that answers no HTTP: with a certificate it speaks TLS, else it hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            caller, _ = server.accept()
            with caller:
                if certificate is None:
                    caller.recv(1000)
                    caller.sendall(b"SSH-2.0-OpenSSH\r\n")
                else:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(certificate)
                    with pytest.raises(ssl.SSLError):
                        context.wrap_socket(caller, server_side=True)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """One that nobody has signed but itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return path


def told(url, call="get"):
    with pytest.raises(exceptions.ServerUnreachable) as unreachable:
        getattr(Transport(url, "key"), call)("/runs")
    return str(unreachable.value)


def test_nobody_listens_here():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    assert told(url) == (
        f"No ZenWeb server answers at {url} (Connection refused): start one with `zenweb up`, or choose another with "
        "`zenweb login URL`."
    )


def test_no_machine_has_that_name():
    sentence = told("http://zenweb.invalid")
    assert sentence.startswith("No ZenWeb server answers at http://zenweb.invalid (")
    assert "no machine of that name is known here. Correct the address" in sentence


def test_the_certificate_is_not_trusted(certificate):
    with listening(certificate) as port:
        sentence = told(f"https://127.0.0.1:{port}")
    assert "certificate verify failed" in sentence
    assert "this machine does not trust its certificate. Name the authority's in SSL_CERT_FILE" in sentence


def test_it_speaks_no_tls():
    with listening() as port:
        sentence = told(f"https://127.0.0.1:{port}")
    assert sentence.endswith(f"Is http://127.0.0.1:{port} meant?")


def test_it_speaks_no_http():
    with listening() as port:
        sentence = told(f"http://127.0.0.1:{port}", "post")
    assert sentence.startswith(f"http://127.0.0.1:{port} broke off the connection (")
    assert sentence.endswith("(POST /api/v1/runs) is not known: look before you ask again.")


def test_it_does_not_answer_in_time(monkeypatch):
    monkeypatch.setattr("zenweb.transport.TIMEOUT", httpx.Timeout(0.05))
    with socket.create_server(("127.0.0.1", 0)) as server:  # which nobody accepts from
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert (
            told(url) == f"{url} did not answer in time. Ask again; if that does not help, look into its log."
        )


HTML = {"text": "<html><h1>nginx</h1></html>"}


def ours(kind, sentence, **more):
    return {"json": {"detail": [kind, sentence], **more}}


WRONG_PLACE = ": is it the address of a ZenWeb server?"
NO_JSON = f"something else than JSON{WRONG_PLACE}"
FIELDS = [{"pointer": "/steps/a", "message": "No."}, {"pointer": "/run_name", "message": "Too long."}]


@pytest.mark.parametrize(
    ("status", "answer", "kind", "sentence"),
    [
        (400, ours("ValueError", "That is no JSON."), exceptions.MalformedRequest, "That is no JSON."),
        (
            401,
            ours("CredentialsNotValid", "This API key is not known."),
            exceptions.CredentialsNotValid,
            f"{URL}: This API key is not known. Sign in with `zenweb login {URL}`, or set ZENWEB_API_KEY.",
        ),
        (401, HTML, exceptions.CredentialsNotValid, f"{ASKED} answered 401 Unauthorized{WRONG_PLACE}"),
        (403, ours("IllegalOperationError", "You need edit."), exceptions.NotAllowed, "You need edit."),
        (403, HTML, exceptions.NotAllowed, f"{ASKED} answered 403 Forbidden{WRONG_PLACE}"),
        (
            404,
            ours("KeyError", "There is no run 'a'. Did you mean 'b'?"),
            exceptions.DoesNotExist,
            "There is no run 'a'. Did you mean 'b'?",
        ),
        (404, HTML, exceptions.DoesNotExist, f"{ASKED} answered 404 Not Found{WRONG_PLACE}"),
        (409, ours("EntityExistsError", "The name is taken."), exceptions.EntityExists, "The name is taken."),
        (411, ours("ValueError", "Say how long."), exceptions.LengthRequired, "Say how long."),
        (413, ours("ValueError", "At most 10 MB."), exceptions.BodyTooLarge, "At most 10 MB."),
        (
            413,
            HTML,
            exceptions.BodyTooLarge,
            f"{ASKED} answered 413 Request Entity Too Large: a proxy there takes no body of this size. "
            "Raise its limit, or send less.",
        ),
        (
            422,
            ours("ValueError", "x", errors=FIELDS),
            exceptions.ValidationFailed,
            "/steps/a: No.; /run_name: Too long.",
        ),
        (422, ours("ValueError", "No."), exceptions.ValidationFailed, "No."),
        (
            429,
            HTML,
            exceptions.ServerBusy,
            f"{ASKED} answered 429 Too Many Requests: too much was asked at once. Wait 7 seconds and ask again.",
        ),
        (
            500,
            ours("RuntimeError", "Something went wrong on the server. Its log says more."),
            exceptions.ZenWebError,
            f"{URL}: Something went wrong on the server. Its log says more.",
        ),
        (500, HTML, exceptions.ZenWebError, f"{ASKED} answered 500 Internal Server Error{WRONG_PLACE}"),
        (503, ours("RuntimeError", "Busy."), exceptions.ServerBusy, f"{URL}: Busy."),
        (
            503,
            HTML,
            exceptions.ServerUnreachable,
            f"{ASKED} answered 503 Service Unavailable: a proxy stands there, and no server behind it answers. "
            "Is it running?",
        ),
        (301, HTML, exceptions.ZenWebError, f"{ASKED} answered 301 Moved Permanently{WRONG_PLACE}"),
        (200, HTML, exceptions.ZenWebError, f"{URL}/api/v1/x answered {NO_JSON}"),
        (200, {"text": '{"a": '}, exceptions.ZenWebError, f"{URL}/api/v1/x answered {NO_JSON}"),
        (404, {"json": {"detail": []}}, exceptions.DoesNotExist, f"{ASKED} answered 404 Not Found{WRONG_PLACE}"),
    ],
)  # fmt: skip
def test_what_an_answer_comes_to(status, answer, kind, sentence):
    network = httpx.MockTransport(lambda _: httpx.Response(status, headers={"Retry-After": "7"}, **answer))
    with pytest.raises(exceptions.ZenWebError) as error:
        Transport(URL, "key", network).get("/x")
    assert (type(error.value), str(error.value)) == (kind, sentence)
