"""Files that are handed out: whole and in parts, alone and in archives, and never more than may be seen."""

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from runs_app.downloads import DOWNLOADS, PIECE, zipped
from runs_app.models import ArtifactVersion, PipelineRun
from runs_app.uploads import store_upload
from templates_app.models import RunTemplate, Stack
from tests.factories import launch
from tests.runs.test_files import made
from zenweb.accounts.models import User
from zenweb.accounts.services import default_project
from zenweb.artifacts.materializers.files import PATH_MATERIALIZER
from zenweb.exceptions import ZenWebError

TEXT = b"0123456789"


@pytest.fixture
def file(stacks: dict[str, Stack], alice: User) -> ArtifactVersion:
    return store_upload(actor=alice, project=default_project(), name="M\u00e4rz.csv", content=[TEXT])


@pytest.fixture
def run(template: RunTemplate, alice: User) -> PipelineRun:
    return launch(template, alice)


def get(rest: Client, version: ArtifactVersion, method: str = "get", **headers: str) -> Any:
    """The answer, with its whole body read."""
    answer = begin(rest, version, method, **headers)
    answer.body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return answer


def begin(rest: Client, version: ArtifactVersion, method: str = "get", **headers: str) -> Any:
    return getattr(rest, method)(f"/api/v1/artifact_versions/{version.pk}/content", headers=headers)


def output(run: PipelineRun, files: dict[str, bytes], **facts: Any) -> ArtifactVersion:
    """What a step made, as several files."""
    folder = Path(run.stack.artifact_store_uri) / str(run.pk) / "trainer" / "1" / "model"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return made(run, "model", **{"uri": str(folder), "metadata": {}, **facts})


def test_a_file_is_handed_out_to_be_saved_and_nothing_else(rest: Client, file: ArtifactVersion) -> None:
    answer = get(rest, file)
    assert (answer.status_code, answer.body) == (200, TEXT)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"] == "attachment; filename*=utf-8''M%C3%A4rz.csv"
    assert (answer["Content-Length"], answer["Accept-Ranges"]) == ("10", "bytes")
    assert DOWNLOADS.taken == 0


@pytest.mark.parametrize(
    ("asked", "part", "told"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", TEXT, "bytes 0-9/10"),
        ("bytes=9-99", b"9", "bytes 9-9/10"),
    ],
)
def test_a_part_of_a_file_is_handed_out(
    rest: Client, file: ArtifactVersion, asked: str, part: bytes, told: str
) -> None:
    answer = get(rest, file, Range=asked)
    assert (answer.status_code, answer.body) == (206, part)
    assert (answer["Content-Range"], answer["Content-Length"]) == (told, str(len(part)))


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "bytes=5-2", "bytes=-", "lines=1-2", "bytes=x-", "bytes=\u0661-"]
)
def test_what_is_no_single_range_is_answered_with_the_whole(
    rest: Client, file: ArtifactVersion, asked: str
) -> None:
    answer = get(rest, file, Range=asked)
    assert (answer.status_code, answer.body) == (200, TEXT)
    assert "Content-Range" not in answer


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_behind_the_end_is_refused_with_the_size(
    rest: Client, file: ArtifactVersion, asked: str
) -> None:
    answer = get(rest, file, Range=asked)
    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */10")
    assert "has 10 bytes" in answer.json()["detail"][1]


def test_a_part_is_of_the_state_that_is_known_or_the_whole(rest: Client, file: ArtifactVersion) -> None:
    etag = get(rest, file)["ETag"]
    assert get(rest, file, Range="bytes=1-", **{"If-Range": etag}).status_code == 206
    for other in ('"other"', f"W/{etag}", "Sun, 29 Nov 2026 06:00:00 GMT"):
        assert get(rest, file, Range="bytes=1-", **{"If-Range": other}).status_code == 200
    unchanged = get(rest, file, **{"If-None-Match": etag})
    assert (unchanged.status_code, unchanged["ETag"], unchanged.content) == (304, etag, b"")
    assert get(rest, file, **{"If-Match": '"other"'}).status_code == 412


def test_head_tells_the_same_without_the_file(rest: Client, file: ArtifactVersion) -> None:
    whole, head = get(rest, file), get(rest, file, "head", Range="bytes=1-2")
    told = ("Content-Type", "Content-Length", "Content-Disposition", "ETag", "Accept-Ranges")
    assert [head[name] for name in told] == [whole[name] for name in told]
    assert (head.status_code, head.content, head.streaming) == (200, b"", False)


def test_a_folder_is_handed_out_as_an_archive(rest: Client, run: PipelineRun) -> None:
    files = {
        "path/models/a.txt": b"a" * (3 * PIECE),
        "path/models/deep/b.txt": b"",
        "path/models/c \u2713.txt": b"c",
    }
    folder = output(run, files, materializer=PATH_MATERIALIZER, metadata={"file_count": 3})
    answer = get(rest, folder)
    assert (answer["Content-Type"], answer["Accept-Ranges"]) == ("application/zip", "none")
    assert answer["Content-Disposition"] == 'attachment; filename="models.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist()} == {
        name.removeprefix("path/models/"): content for name, content in files.items()
    }
    assert get(rest, folder, "head")["Content-Type"] == "application/zip"


def test_no_more_of_an_archive_is_held_than_a_piece(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"x" * (40 * PIECE))
    sizes = [len(piece) for piece in zipped(str(tmp_path), ["one", "two"], str(tmp_path))]
    assert sum(sizes) > 80 * PIECE
    assert max(sizes) < 2 * PIECE
    assert len(sizes) > 80


def test_a_value_that_is_one_file_is_handed_out_as_that(rest: Client, run: PipelineRun) -> None:
    preview = {"kind": "json", "file": "preview.json"}
    value = output(run, {"data.npy": b"array", "preview.json": b"{}"}, preview=preview)
    answer = get(rest, value)
    assert (answer.body, answer["Content-Disposition"]) == (b"array", 'attachment; filename="model.npy"')
    assert get(rest, value, Range="bytes=1-2").status_code == 206


SHOWN_AS_IT_IS = {"kind": "json", "file": "data.json"}


def test_a_value_whose_file_is_shown_as_it_is_can_be_had_too(rest: Client, run: PipelineRun) -> None:
    answer = get(rest, output(run, {"data.json": b'{"accuracy": 0.9}'}, preview=SHOWN_AS_IT_IS))
    assert (answer.status_code, answer.body) == (200, b'{"accuracy": 0.9}')
    assert answer["Content-Disposition"] == 'attachment; filename="model.json"'


def test_an_archive_has_the_file_that_is_shown_as_it_is(rest: Client, run: PipelineRun) -> None:
    files = {"data.json": b"{}", "leaf_1/data.npy": b"array"}
    answer = get(rest, output(run, files, preview=SHOWN_AS_IT_IS))
    assert zipfile.ZipFile(io.BytesIO(answer.body)).namelist() == list(files)


def test_links_in_a_folder_are_no_part_of_its_archive(
    rest: Client, run: PipelineRun, own_data_folder: Path
) -> None:
    (own_data_folder / "secret").mkdir()
    (own_data_folder / "secret" / "key").write_text("the server's own")
    folder = output(run, {"a": b"a", "b": b"b"})
    (Path(folder.uri) / "link").symlink_to(own_data_folder / "secret" / "key")
    (Path(folder.uri) / "linked").symlink_to(own_data_folder / "secret")
    answer = begin(rest, folder)
    (Path(folder.uri) / "b").unlink()
    (Path(folder.uri) / "b").symlink_to(own_data_folder / "secret" / "key")  # since it was listed
    with pytest.raises(ZenWebError, match="outside of where it has to be"):
        b"".join(answer.streaming_content)
    assert DOWNLOADS.taken == 0  # it was broken off halfway
    (Path(folder.uri) / "c").touch()
    archive = zipfile.ZipFile(io.BytesIO(get(rest, folder).body))
    assert archive.namelist() == ["a", "c"]


@pytest.mark.parametrize(
    "outside",
    [
        *("{store}", "{store}/another run", "/etc", "{store}/{run}/../another run"),
        "file://{store}/{run}/%2e%2e/another run",
    ],
)
def test_nothing_outside_of_its_run_is_handed_out(rest: Client, run: PipelineRun, outside: str) -> None:
    other = Path(run.stack.artifact_store_uri) / "another run"
    other.mkdir(parents=True)
    (other / "a").write_text("another's")
    uri = outside.format(store=run.stack.artifact_store_uri, run=run.pk)
    assert get(rest, made(run, "leak", uri=uri, metadata={})).status_code == 404


def test_too_many_files_are_refused(rest: Client, run: PipelineRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs_app.found_files.MOST_FILES", 2)
    assert get(rest, output(run, {"a": b"", "b": b"", "c": b""})).status_code == 422


def test_too_many_folders_are_refused_though_no_file_is_in_them(
    rest: Client, run: PipelineRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs_app.found_files.MOST_FILES", 2)
    folder = output(run, {"a": b"", "b": b""})
    for number in range(7):
        (Path(folder.uri) / f"empty {number}" / "below").mkdir(parents=True)
    assert get(rest, folder).status_code == 422


def test_who_is_one_too_many_is_told_to_come_back(
    rest: Client, file: ArtifactVersion, client: Client, alice: User, settings: Any
) -> None:
    settings.WEB_THREADS = 8
    going_on = begin(rest, file)
    refused = get(rest, file)
    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    client.force_login(alice)
    page = client.get(f"/artifacts/{file.pk}/file")
    assert (page.status_code, "Ask again later" in page.text) == (503, True)
    assert b"".join(going_on.streaming_content) == TEXT
    assert get(rest, file).status_code == 200
    assert DOWNLOADS.taken == 0


def test_a_place_is_taken_before_a_folder_is_looked_through(
    rest: Client, run: PipelineRun, settings: Any
) -> None:
    settings.WEB_THREADS = 8
    folder = output(run, {"a": b"", "b": b""})
    going_on = begin(rest, folder)
    shutil.rmtree(folder.uri)
    assert get(rest, folder, "head").status_code == 503
    with pytest.raises(ZenWebError):
        b"".join(going_on.streaming_content)
    assert get(rest, folder, "head").status_code == 404
    assert DOWNLOADS.taken == 0
