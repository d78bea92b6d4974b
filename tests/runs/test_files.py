"""Files given to runs: uploads, references to what other runs made, and what becomes of them in a step."""

import hashlib
import io
import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import close_old_connections, connection
from django.test import Client, RequestFactory

from runs_app import recording
from runs_app.assignments import assignment_for
from runs_app.models import Artifact, ArtifactVersion, PipelineRun, StepOutput, StepRun, Worker
from runs_app.recording import StepOutcome
from runs_app.uploads import FormFiles, store_upload
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.in_process import keeping_the_connection
from tests.runs.test_worker import finished
from zenweb.accounts.models import User
from zenweb.accounts.services import default_project
from zenweb.api.uploads import BoundedTemporaryUpload
from zenweb.artifacts import materializers
from zenweb.artifacts import store as artifacts
from zenweb.exceptions import BodyTooLarge, MalformedRequest, NotAllowed, ValidationFailed
from zenweb.execution.protocol import StoredArtifact
from zenweb.wsgi import application

Store = Callable[..., ArtifactVersion]
CSV = b"city,people\nBasel,3\nBern,4\n"


@pytest.fixture
def store(stacks: dict[str, Stack], alice: User) -> Store:
    def store(name: str, content: bytes = CSV, **options: Any) -> ArtifactVersion:
        return store_upload(actor=alice, project=default_project(), name=name, content=[content], **options)

    return store


@pytest.fixture
def template(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("filed.filed_pipeline", alice, stacks["celery"]), alice, "filed")


def ref(version: ArtifactVersion | uuid.UUID) -> dict[str, str]:
    return {"artifact_version": str(getattr(version, "pk", version))}


def given(**parameters: Any) -> dict[str, Any]:
    return {"steps": {"read": {"parameters": parameters}}}


def refusals(template: RunTemplate, actor: User, **parameters: Any) -> dict[str, str]:
    with pytest.raises(ValidationFailed) as caught:
        launch(template, actor, given(**parameters))
    assert not PipelineRun.objects.exists()
    return {
        error.pointer.removeprefix("/steps/read/parameters"): error.message for error in caught.value.errors
    }


def stored_files(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.is_file()]


# -- uploads ----------------------------------------------------------------------------------------------------------


def test_an_upload_is_a_version_that_loads_as_the_file_it_was(store: Store, own_data_folder: Path) -> None:
    first, second = store("orders.csv"), store("../../etc/orders.csv", b"other")
    assert (first.artifact.name, first.version, second.version) == ("uploads::orders.csv", 1, 2)
    assert first.artifact_id == second.artifact_id
    assert first.type == "DataArtifact"
    assert first.metadata["storage_size"] == len(CSV)
    assert first.metadata["content_type"] == "text/csv"
    assert first.metadata["sha256"] == hashlib.sha256(CSV).hexdigest()
    loaded = materializers.load(first.uri, first.materializer)
    assert (loaded.name, loaded.read_bytes()) == ("orders.csv", CSV)


@pytest.mark.parametrize(
    ("name", "content", "options", "error", "sentence"),
    [
        ("empty.csv", b"", {}, ValidationFailed, "empty.csv is empty"),
        ("x.exe", b"MZ", {"rules": {"types": [".csv"]}}, ValidationFailed, "x.exe is not of a type"),
        ("big.csv", b"12345", {"rules": {"max_size": 4}}, BodyTooLarge, "big.csv is larger than 4 bytes"),
    ],
)
def test_what_is_refused_leaves_nothing(
    store: Store,
    own_data_folder: Path,
    name: str,
    content: bytes,
    options: dict[str, Any],
    error: type[Exception],
    sentence: str,
) -> None:
    with pytest.raises(error, match=sentence):
        store(name, content, **options)
    assert not ArtifactVersion.objects.exists()
    assert not Artifact.objects.exists()
    assert stored_files(own_data_folder) == []


def test_the_servers_limit_holds_for_every_upload(store: Store, settings: Any) -> None:
    settings.UPLOAD_LIMIT = 10
    store("fits.txt", b"0123456789")
    with pytest.raises(BodyTooLarge, match="10 bytes"):
        store("big.txt", b"0123456789x", rules={"max_size": 1000})


def test_no_more_is_read_than_the_limit(stacks: dict[str, Stack], alice: User, settings: Any) -> None:
    settings.UPLOAD_LIMIT = 100
    read = []

    def content() -> Iterator[bytes]:
        for number in range(1000):
            read.append(number)
            yield b"x" * 60

    with pytest.raises(BodyTooLarge):
        store_upload(actor=alice, project=default_project(), name="x", content=content())
    assert read == [0, 1]


def test_an_upload_that_breaks_off_leaves_nothing(
    stacks: dict[str, Stack], alice: User, own_data_folder: Path
) -> None:
    def content() -> Iterator[bytes]:
        yield b"first"
        raise OSError("connection reset")

    with pytest.raises(MalformedRequest, match="broke off"):
        store_upload(actor=alice, project=default_project(), name="x", content=content())
    assert (stored_files(own_data_folder), ArtifactVersion.objects.count()) == ([], 0)


def test_what_the_database_refuses_leaves_no_file(store: Store, alice: User, own_data_folder: Path) -> None:
    nobody = default_project()
    nobody.pk = "not an id"
    with pytest.raises(Exception, match=r"UUID|uuid|attribute"):
        store_upload(actor=alice, project=nobody, name="x", content=[b"x"])
    assert stored_files(own_data_folder) == []


def test_who_is_switched_off_uploads_nothing(store: Store, alice: User) -> None:
    alice.is_active = False
    with pytest.raises(NotAllowed):
        store("x.csv")


# -- REST -------------------------------------------------------------------------------------------------------------


def test_a_form_and_a_raw_body_become_versions(rest: Client, stacks: dict[str, Stack]) -> None:
    sent = {"file": SimpleUploadedFile("orders.csv", CSV, "text/csv")}
    form = rest.post("/api/v1/uploads", sent)
    raw = rest.post("/api/v1/uploads?name=raw.bin", b"\x00\x01", content_type="application/x-thing")
    assert (form.status_code, raw.status_code) == (200, 200), (form.content, raw.content)
    file = form.json()["body"]["file"]
    assert (file["name"], file["size"], file["content_type"]) == ("orders.csv", len(CSV), "text/csv")
    assert raw.json()["body"]["file"]["content_type"] == "application/x-thing"
    for answer, content in ((form, CSV), (raw, b"\x00\x01")):
        got = rest.get(f"/api/v1/artifact_versions/{answer.json()['id']}/content")
        assert b"".join(got.streaming_content) == content
        assert got["Content-Disposition"].startswith("attachment; filename=")
        assert got["Content-Type"] == "application/octet-stream"
        assert got["X-Content-Type-Options"] == "nosniff"


def test_what_curl_calls_a_form_is_a_file_all_the_same(rest: Client, stacks: dict[str, Stack]) -> None:
    kind = "application/x-www-form-urlencoded"
    answer = rest.post("/api/v1/uploads?name=a.csv", CSV, content_type=kind)
    assert answer.json()["body"]["file"]["size"] == len(CSV)


@pytest.mark.parametrize(
    ("address", "body", "status", "sentence"),
    [
        ("/api/v1/uploads", b"x", 422, "Say what the file is called"),
        ("/api/v1/uploads?name=a.csv", b"", 422, "a.csv is empty"),
        ("/api/v1/uploads?name=a.csv&types=.xlsx", b"x", 422, "is not of a type"),
        ("/api/v1/uploads?name=a.csv&max_size=3", b"1234", 413, "larger than 3 bytes"),
        ("/api/v1/uploads?name=a.csv&max_size=much", b"1234", 422, "no size"),
        ("/api/v1/uploads?name=a.csv&project=none", b"1234", 404, "project"),
    ],
)
def test_bad_uploads_are_told_what_to_do(
    rest: Client, stacks: dict[str, Stack], address: str, body: bytes, status: int, sentence: str
) -> None:
    answer = rest.post(address, body, content_type="application/octet-stream")
    assert (answer.status_code, sentence in answer.json()["detail"][1]) == (status, True), answer.content
    assert not ArtifactVersion.objects.exists()


def test_a_body_shorter_than_announced_is_refused(alices_key: str, stacks: dict[str, Stack]) -> None:
    headers = {"Authorization": f"Bearer {alices_key}"}
    sent = RequestFactory(headers=headers).post("/api/v1/uploads?name=a.csv", b"123", content_type="text/csv")
    broken = {**sent.environ, "wsgi.input": io.BytesIO(b"123"), "CONTENT_LENGTH": "10"}
    answered = []
    with keeping_the_connection():
        body = application(broken, lambda status, headers: answered.append(status))
    assert (answered, "broke off" in b"".join(body).decode()) == (["400 Bad Request"], True)
    assert not ArtifactVersion.objects.exists()


@pytest.mark.parametrize("kind", ["text/csv", "multipart/form-data; boundary=x"])
def test_a_body_that_comes_in_chunks_is_told_what_it_lacks(
    alices_key: str, stacks: dict[str, Stack], kind: str
) -> None:
    headers = {"Authorization": f"Bearer {alices_key}", "Transfer-Encoding": "chunked"}
    sent = RequestFactory(headers=headers).post("/api/v1/uploads?name=a.csv", b"123", content_type=kind)
    environ = {name: value for name, value in sent.environ.items() if name != "CONTENT_LENGTH"}
    answered = []
    with keeping_the_connection():
        body = application(environ, lambda status, headers: answered.append(status))
    assert (answered, "Content-Length" in b"".join(body).decode()) == (["411 Length Required"], True)
    assert not ArtifactVersion.objects.exists()


def test_a_forms_file_that_is_too_large_is_not_kept(
    rest: Client, stacks: dict[str, Stack], alice: User, settings: Any
) -> None:
    settings.UPLOAD_LIMIT = 5
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 2
    answer = rest.post("/api/v1/uploads", {"file": io.BytesIO(b"123456789")})
    assert answer.status_code == 413, answer.content
    with pytest.raises(ValidationFailed, match="larger than 5 bytes"):
        FormFiles(alice).store(SimpleUploadedFile("a.txt", b"123456789"), {"as": "path"})
    assert not ArtifactVersion.objects.exists()


def test_a_whole_form_is_bounded_before_it_is_read(
    client: Client, rest: Client, template: RunTemplate, alice: User, settings: Any
) -> None:
    settings.UPLOAD_REQUEST_LIMIT, settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 3000, 0
    client.force_login(alice)
    for sent, address in ((client, template.get_absolute_url()), (rest, "/api/v1/uploads")):
        answer = sent.post(address, {f"file{number}": io.BytesIO(b"x" * 800) for number in range(4)})
        assert (answer.status_code, "larger than 3 kB with its files" in answer.text) == (413, True)
    assert client.post(template.get_absolute_url(), form_with(b"x" * 800)).status_code == 302


def test_no_file_is_taken_from_a_stranger_but_what_was_typed_is(
    client: Client, template: RunTemplate, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0
    taken: list[bytes] = []
    monkeypatch.setattr(
        BoundedTemporaryUpload, "receive_data_chunk", lambda self, raw, start: taken.append(raw)
    )
    typed = {"steps.read.parameters.document.~text": "here.csv", "document": "kept"}
    sent = client.post(template.get_absolute_url(), form_with(**typed))
    assert (sent.wsgi_request.FILES, sent.wsgi_request.POST["document"], taken) == ({}, "kept", [])


def test_of_a_forms_large_file_no_more_than_the_limit_is_written(settings: Any) -> None:
    settings.UPLOAD_LIMIT = 100
    handler = BoundedTemporaryUpload()
    handler.new_file("file", "big.txt", "text/plain", None)
    for start in range(0, 1000, 60):
        handler.receive_data_chunk(b"x" * 60, start)
    file = handler.file_complete(1020)
    assert (file.size, len(file.read())) == (1020, 60)
    file.close()


def test_nobody_uploads_or_reads_without_signing_in(client: Client, store: Store) -> None:
    version = store("secret.csv")
    assert client.post("/api/v1/uploads?name=x", b"x", content_type="a/b").status_code == 401
    assert client.get(f"/api/v1/artifact_versions/{version.pk}/content").status_code == 401
    assert client.get(f"/artifacts/{version.pk}/file").status_code == 302


def test_a_page_has_to_prove_that_it_is_ours(alice: User, stacks: dict[str, Stack]) -> None:
    page = Client(enforce_csrf_checks=True)
    page.force_login(alice)
    assert page.post("/api/v1/uploads", {"file": io.BytesIO(CSV)}).status_code == 403
    assert not ArtifactVersion.objects.exists()


def test_versions_are_found_by_a_part_of_their_name_and_what_they_suit(rest: Client, store: Store) -> None:
    orders, notes = store("Orders 2026.csv"), store("notes.txt", b"n")
    listed = lambda query: [  # noqa: E731
        item["id"] for item in rest.get(f"/api/v1/artifact_versions?{query}").json()["items"]
    ]
    assert listed("search=orders") == [str(orders.pk)]
    assert listed("suits=table&types=.csv,.parquet") == [str(orders.pk)]
    assert set(listed("suits=path")) == {str(orders.pk), str(notes.pk)}
    assert rest.get("/api/v1/artifact_versions?suits=soup").status_code == 422


def test_more_types_than_a_database_looks_for_are_refused(rest: Client, store: Store) -> None:
    orders = store("orders.csv")
    ask = lambda types: rest.get(f"/api/v1/artifact_versions?suits=path&types={','.join(types)}")  # noqa: E731
    assert [found["id"] for found in ask([".csv"] * 100).json()["items"]] == [str(orders.pk)]
    refused = ask([".csv"] * 1500)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/types")


def test_a_form_is_offered_the_newest_that_fit(store: Store, alice: User, settings: Any) -> None:
    small, large = store("b.csv", b"1"), store("a.csv", b"123456")
    store("c.txt")
    files = FormFiles(alice)
    rules = {"as": "path", "types": [".csv"], "max_size": 5}
    assert [found.id for found in files.search("", rules)] == [str(small.pk)]
    assert [found.label for found in files.search(".CSV", {"as": "path"})] == [
        "a.csv, 6 bytes",
        "b.csv, 1 byte",
    ]
    assert files.find([str(large.pk), "nonsense", str(uuid.uuid4())]).keys() == {str(large.pk)}
    kept = files.store(SimpleUploadedFile("d.csv", b"12"), rules)
    assert (kept.name, kept.is_upload, kept.reference) == ("d.csv", True, {"artifact_version": kept.id})


def form_with(content: bytes = CSV, **more: str) -> dict[str, Any]:
    return {
        "submit_token": "t",
        "steps.read.parameters.document": "",
        "steps.read.parameters.document.~file": SimpleUploadedFile("orders.csv", content),
        **more,
    }


def test_the_same_form_with_a_file_sent_twice_is_one_run(
    client: Client, template: RunTemplate, alice: User, own_data_folder: Path
) -> None:
    client.force_login(alice)
    first, again = (client.post(template.get_absolute_url(), form_with()) for _ in range(2))
    run = PipelineRun.objects.get()
    assert [first.url, again.url] == [run.get_absolute_url()] * 2
    assert stored_files(own_data_folder / "artifacts") == ["orders.csv"]
    assert Artifact.objects.get().version_count == 1
    client.post(template.get_absolute_url(), form_with(b"other"))
    assert PipelineRun.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_form_sent_twice_at_once_is_one_run(template: RunTemplate, alice: User) -> None:
    def send() -> None:
        try:
            client = Client()
            client.force_login(alice)
            assert client.post(template.get_absolute_url(), form_with()).status_code == 302
        finally:
            close_old_connections()
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        for sent in [pool.submit(send) for _ in range(4)]:
            sent.result(30)
    assert (PipelineRun.objects.count(), ArtifactVersion.objects.count()) == (1, 1)


def test_what_somebody_else_uploaded_or_is_gone_is_not_given_back(
    store: Store, alice: User, bob: User, own_data_folder: Path
) -> None:
    upload = lambda: SimpleUploadedFile("a.csv", CSV)  # noqa: E731
    theirs = FormFiles(bob).store(upload(), {"as": "path"})
    mine = FormFiles(alice).store(upload(), {"as": "path"})
    assert FormFiles(alice).store(upload(), {"as": "path"}).id == mine.id != theirs.id
    artifacts.remove(ArtifactVersion.objects.get(pk=mine.id).uri)
    assert FormFiles(alice).store(upload(), {"as": "path"}).id != mine.id


def test_no_file_is_kept_for_a_template_that_may_not_be_run(
    client: Client, template: RunTemplate, alice: User
) -> None:
    RunTemplate.objects.update(is_enabled=False)
    client.force_login(alice)
    answer = client.post(template.get_absolute_url(), form_with())
    assert (answer.status_code, "This template is switched off" in answer.text) == (422, True)
    assert not ArtifactVersion.objects.exists()


# -- launching --------------------------------------------------------------------------------------------------------


def test_what_cannot_be_given_is_refused_at_its_place(
    template: RunTemplate, store: Store, alice: User
) -> None:
    fits, text, large = store("a.csv"), store("b.exe"), store("c.csv", b"x" * 1001)
    nothing = uuid.uuid4()
    told = refusals(
        *(template, alice),
        document=ref(nothing),
        table=ref(text),
        sheets=[ref(fits), ref(text), ref(large), "ok.csv"],
    )
    assert told == {
        "/document": f"There is no artifact version {nothing}: upload the file again, or choose another.",
        "/table": "b.exe is not of a type that is taken here: .csv, .tsv, .json, .jsonl, .parquet.",
        "/sheets/1": "b.exe is not of a type that is taken here: .csv, .txt.",
        "/sheets/2": "c.csv is larger than 1 kB, which is the limit here.",
    }


OTHER = "#/properties/steps/properties/read/properties/parameters/properties"


def asking_for(template: RunTemplate, make: Callable[[Any], Any]) -> None:
    """Let the schema of `document` be made from what it was."""
    deployment = template.deployment
    step = deployment.config_schema["properties"]["steps"]["properties"]["read"]
    parameters = step["properties"]["parameters"]["properties"]
    parameters["document"] = make(parameters["document"])
    deployment.save()


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda file: {"type": "object", "patternProperties": {"^f": file}}, ["f1"]),
        (lambda file: {"if": {"type": "string"}, "else": file}, []),
        (lambda file: {"dependentSchemas": {"a": {"properties": {"f": file}}}}, ["f"]),
        (lambda file: {"type": "array", "prefixItems": [{"type": "object"}, file]}, [1]),
        (lambda file: {"$ref": f"{OTHER}/sheets/items"}, []),
        (lambda file: {"$ref": f"{OTHER}/table/anyOf/0"}, []),
    ],
    ids=["pattern", "else", "dependent", "tuple", "referred to", "referred to in a list"],
)
def test_a_reference_is_checked_wherever_a_schema_asks_for_a_file(
    template: RunTemplate,
    store: Store,
    alice: User,
    make: Callable[[Any], Any],
    place: list[str | int],
) -> None:
    asking_for(template, make)

    def value(reference: Any) -> Any:
        if place == [1]:
            return [{}, reference]
        return {"a": 1, place[0]: reference} if place else reference

    told = refusals(template, alice, document=value(ref(uuid.uuid4())))
    assert list(told) == ["".join(f"/{part}" for part in ["document", *place])]
    assert "There is no artifact version" in told.popitem()[1]
    launch(template, alice, given(document=value(ref(store("a.csv")))))


def test_a_reference_where_no_file_is_asked_for_is_refused(
    template: RunTemplate, store: Store, alice: User
) -> None:
    asking_for(template, lambda file: {"type": "array", "prefixItems": [file], "items": {"type": "object"}})
    fits = ref(store("a.csv"))
    told = refusals(template, alice, document=[fits, {"x": fits}, fits])
    sentence = "No file is asked for here, so no artifact version can be given."
    assert told == {"/document/1/x": sentence, "/document/2": sentence}


def test_a_step_gets_nothing_that_its_runs_owner_may_not_see(
    template: RunTemplate, store: Store, alice: User
) -> None:
    launch(template, alice, given(document=ref(store("a.csv"))))
    User.objects.update(is_active=False)
    assert recording_assignment().files == {}


def test_a_file_that_cannot_be_given_is_not_called_valid(
    rest: Client, template: RunTemplate, store: Store
) -> None:
    version = store("a.csv")
    address, body = f"/api/v1/run_templates/{template.pk}/validate", given(document=ref(version))
    ask = lambda: rest.post(address, body, content_type="application/json").json()  # noqa: E731
    assert (ask()["valid"], ask()["errors"]) == (True, [])
    version.delete()
    [error] = ask()["errors"]
    assert (ask()["valid"], error["pointer"]) == (False, "/steps/read/parameters/document")
    assert error["message"].startswith("There is no artifact version")


def test_another_shape_is_refused_in_words(template: RunTemplate, alice: User) -> None:
    told = refusals(template, alice, document={"artifact": "x"}, table="orders.csv", sheets=["x.exe"])
    assert told["/document"].startswith('This must be a file: {"artifact_version":')
    assert told["/table"].startswith("This must be a file")
    assert told["/sheets/0"].startswith("x.exe is not of a type")


def made(run: PipelineRun, name: str, **facts: Any) -> ArtifactVersion:
    """A version that a step made, with its row alone."""
    artifact = Artifact.objects.create(project=run.project, name=name, version_count=1)
    values = {
        "uri": f"/store/{name}",
        "type": "DataArtifact",
        "materializer": "m.M",
        "data_type": "builtins.int",
        "producer_step": run.steps.first(),
        **facts,
    }
    version = ArtifactVersion.objects.create(project=run.project, artifact=artifact, version=1, **values)
    StepOutput.objects.create(step=values["producer_step"], name=name, artifact_version=version)
    return version


def test_an_artifact_is_given_only_where_its_kind_is_asked_for(
    template: RunTemplate, alice: User, stacks: dict[str, Stack]
) -> None:
    run = launch(template, alice)
    number = made(run, "number")
    frame = made(run, "frame", data_type="pandas.core.frame.DataFrame")
    with pytest.raises(
        ValidationFailed, match=r"number is a builtins\.int, and a file or a table is asked for"
    ):
        launch(template, alice, given(table=ref(number)))
    with pytest.raises(ValidationFailed, match="and a file is asked for"):
        launch(template, alice, given(document=ref(frame)))
    launch(template, alice, given(table=ref(frame)))
    Stack.objects.filter(pk=run.stack_id).update(artifact_store_uri="")
    with pytest.raises(ValidationFailed, match="kept where its run was executed"):
        launch(template, alice, given(table=ref(frame)))


def test_the_step_is_told_where_its_files_lie(template: RunTemplate, store: Store, alice: User) -> None:
    version = store("a.csv")
    launch(template, alice, given(document=ref(version), table=ref(version)))
    files = recording_assignment().files
    assert set(files) == {str(version.pk)}
    assert (files[str(version.pk)].uri, files[str(version.pk)].file_name) == (version.uri, "a.csv")


def worker_row() -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


def recording_assignment() -> Any:
    attempt = recording.claim_ready_step(worker_row(), "default")
    assert attempt is not None
    return assignment_for(attempt)


def test_the_same_content_is_taken_from_the_cache_whichever_upload_it_was(
    template: RunTemplate, store: Store, alice: User
) -> None:
    launch(template, alice, given(document=ref(store("a.csv"))))
    attempt = recording.claim_ready_step(worker_row(), "default")
    told = StoredArtifact(uri="/x", materializer="m.M", data_type="builtins.dict", type="DataArtifact")
    recording.record_end(attempt, StepOutcome(outputs={"told": told}))
    again = launch(template, alice, given(document=ref(store("a.csv"))))
    other = launch(template, alice, given(document=ref(store("a.csv", b"other,content\n"))))
    renamed = launch(template, alice, given(document=ref(store("a.txt"))))
    statuses = [StepRun.objects.get(run=run).status for run in (again, other, renamed)]
    assert statuses == ["cached", "initializing", "initializing"]


def test_a_step_cannot_say_that_its_output_is_an_upload_nor_what_is_in_it(
    template: RunTemplate, store: Store, alice: User
) -> None:
    upload = store("a.csv")
    launch(template, alice)
    attempt = recording.claim_ready_step(worker_row(), "default")
    told = StoredArtifact(
        uri="/x", materializer="m.M", data_type="d", type="DataArtifact", metadata={**upload.metadata, "n": 1}
    )
    recording.record_end(attempt, StepOutcome(outputs={"told": told}))
    made = ArtifactVersion.objects.get(producer_step=attempt.step)
    assert made.metadata["n"] == 1
    assert not {"file_name", "sha256"} & made.metadata.keys()


def test_a_step_is_told_a_name_that_leads_nowhere(template: RunTemplate, store: Store, alice: User) -> None:
    version = store("a.csv")
    version.metadata["file_name"] = "../../escaped.csv"
    version.save()
    launch(template, alice, given(document=ref(version)))
    assert recording_assignment().files[str(version.pk)].file_name == "escaped.csv"


# -- in a step --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_step_gets_paths_bytes_and_tables(
    template: RunTemplate, store: Store, alice: User, stacks: dict[str, Stack], client: Client
) -> None:
    worker = StepWorker(name="w1", queues=["default"], slots=1)
    worker.start()
    try:
        making = make_template(freeze("filed.making_pipeline", alice, stacks["celery"]), alice, "making")
        launch(making, alice)
        worker.run_ready_steps("default")
        table = ArtifactVersion.objects.get(artifact__name="made table")
        file = ArtifactVersion.objects.get(artifact__name="made file")
        orders, text = store("Orders März.csv"), store("t.txt", b"hello")
        cases = {
            "nothing": given(),
            "uploads": given(
                document=ref(orders), content=ref(text), table=ref(orders), sheets=[ref(text), ref(orders)]
            ),
            "artifacts": given(document=ref(file), table=ref(table), content="plain"),
            "a file as a table": given(table=ref(file)),
            "unreadable": given(table=ref(store("broken.parquet", b"no parquet"))),
        }
        runs = {name: launch(template, alice, values) for name, values in cases.items()}
        worker.run_ready_steps("default")
    finally:
        worker.shut_down()
    ended = {name: finished(run) for name, run in runs.items()}
    told = {name: told_by(run) for name, run in ended.items() if run.status == "completed"}
    assert told["nothing"]["document"].startswith("printing.py: ")
    assert told["uploads"] == {
        "document": f"Orders März.csv: {CSV[:20]!r}",
        "content": "b'hello'",
        "table": "['city', 'people'] 2",
        "sheets": f"t.txt=hello, Orders März.csv={CSV.decode()}",
    }
    assert told["artifacts"]["document"] == "made.csv: b'x\\n1\\n2\\n3\\n'"
    assert (told["artifacts"]["table"], told["artifacts"]["content"]) == ("['a', 'b'] 2", "b'plain'")
    assert told["a file as a table"]["table"] == "['x'] 3"
    failed = ended["unreadable"].steps.get()
    assert failed.exception["message"].startswith(
        "Parameter 'table': broken.parquet cannot be read as a table: "
    )
    _the_page_names_and_hands_out(client, alice, ended["uploads"], orders)
    _a_file_that_a_step_made_is_handed_out(client, file)


def told_by(run: PipelineRun) -> dict[str, str]:
    version = ArtifactVersion.objects.get(outputs__step__run=run)
    told: dict[str, str] = materializers.load(version.uri, version.materializer)
    return json.loads(json.dumps(told))


def _the_page_names_and_hands_out(
    client: Client, alice: User, run: PipelineRun, version: ArtifactVersion
) -> None:
    client.force_login(alice)
    page = client.get(run.get_absolute_url()).content.decode()
    assert f'<a href="/artifacts/{version.pk}/file" download>' in page
    assert "Orders März.csv</a>" in page
    assert '<span class="soft">27\N{NO-BREAK SPACE}bytes</span>' in page
    got = client.get(f"/artifacts/{version.pk}/file")
    assert b"".join(got.streaming_content) == CSV
    assert got["Content-Type"] == "application/octet-stream"
    assert "attachment" in got["Content-Disposition"]


def _a_file_that_a_step_made_is_handed_out(client: Client, file: ArtifactVersion) -> None:
    got = client.get(f"/artifacts/{file.pk}/file")
    assert b"".join(got.streaming_content) == b"x\n1\n2\n3\n"


@pytest.mark.parametrize("outside", ["/etc", "{root}/../secret"])
def test_nothing_outside_of_the_store_is_handed_out(
    template: RunTemplate, alice: User, client: Client, own_data_folder: Path, outside: str
) -> None:
    secret = own_data_folder / "secret" / "path"
    secret.mkdir(parents=True)
    (secret / "key").write_text("the server's own")
    run = launch(template, alice)
    version = made(
        run,
        "leak",
        uri=outside.format(root=own_data_folder / "artifacts"),
        materializer="zenweb.artifacts.materializers.files.PathMaterializer",
        metadata={"string_representation": "key"},
    )
    client.force_login(alice)
    assert client.get(f"/artifacts/{version.pk}/file").status_code == 404
    ArtifactVersion.objects.update(producer_step=None)
    assert client.get(f"/artifacts/{version.pk}/file").status_code == 404


def test_a_link_out_of_the_store_is_not_followed(
    template: RunTemplate, alice: User, client: Client, own_data_folder: Path
) -> None:
    (own_data_folder / "secret").write_text("the server's own")
    folder = own_data_folder / "artifacts" / "run" / "path"
    folder.mkdir(parents=True)
    (folder / "key").symlink_to(own_data_folder / "secret")
    version = made(
        launch(template, alice),
        "leak",
        uri=str(folder.parent),
        materializer="zenweb.artifacts.materializers.files.PathMaterializer",
        metadata={"string_representation": "key"},
    )
    client.force_login(alice)
    assert client.get(f"/artifacts/{version.pk}/file").status_code == 404
