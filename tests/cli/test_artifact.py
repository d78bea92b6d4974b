"""`zenweb artifact`."""

import io
import json
import zipfile

import pytest

from runs_app.uploads import store_upload
from tests.factories import launch
from tests.runs.test_downloads import SHOWN_AS_IT_IS, output
from zenweb.accounts.services import default_project
from zenweb.artifacts.materializers.files import PATH_MATERIALIZER
from zenweb.cli.artifact import file_name_of, unpack
from zenweb.exceptions import ValidationFailed


@pytest.fixture
def run(template, alice):
    return launch(template, alice)


@pytest.fixture
def value(run):
    """What a step of the run has made."""
    return output(run, {"data.json": b'{"accuracy": 0.9}'}, preview=SHOWN_AS_IT_IS)


@pytest.fixture
def orders(stacks, alice):
    """An upload, in two versions."""
    for content in (b"1", b"22"):
        version = store_upload(
            actor=alice, project=default_project(), name="M\u00e4rz.csv", content=[content]
        )
    return version


def test_what_a_run_has_made_is_listed(alices, value, run, orders):
    assert alices("artifact", "list", "--run", run.name, "-o", "id").stdout.split() == [str(value.pk)]
    assert alices("artifact", "list", "--limit", "1", "-o", "id").stdout.split() == [str(orders.pk)]
    found = alices("artifact", "list", "--search", "rz.csv", "--mine", "--since", "1h").stdout
    assert len(found.splitlines()) == 3


def test_an_artifact_is_shown_with_a_preview(alices, value, run):
    told = alices("artifact", "get", value.artifact.name).stdout
    assert str(run.pk) in told
    assert '{"accuracy": 0.9}' in told
    assert json.loads(alices("artifact", "get", str(value.pk), "-o", "json").stdout)["id"] == str(value.pk)


def test_a_file_is_downloaded_under_its_name_and_once(alices, orders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = orders.artifact.name
    assert alices("artifact", "download", name, "--version", "1").stdout == "M\u00e4rz.csv\n"
    again = alices("artifact", "download", name)
    assert (again.exit_code, "März.csv is there already" in again.stderr) == (2, True)
    assert (tmp_path / "M\u00e4rz.csv").read_bytes() == b"1"
    assert alices("artifact", "download", name, "--to", "mine.csv").stdout == "mine.csv\n"
    alices("artifact", "download", name, "--force")
    assert (tmp_path / "M\u00e4rz.csv").read_bytes() == b"22"
    assert not list(tmp_path.glob(".*.part"))


def test_several_files_become_a_folder(alices, run, tmp_path):
    files = {"path/models/a.txt": b"a", "path/models/deep/b.txt": b"b"}
    version = output(run, files, materializer=PATH_MATERIALIZER, metadata={"file_count": 2})
    result = alices("artifact", "download", str(version.pk), "--to", str(tmp_path))
    assert result.stdout == f"{tmp_path / 'models'}\n"
    assert (tmp_path / "models/deep/b.txt").read_bytes() == b"b"
    packed = alices("artifact", "download", str(version.pk), "--to", str(tmp_path), "--zip")
    assert zipfile.is_zipfile(packed.stdout.strip())


def test_what_cannot_be_had_leaves_nothing(alices, run, tmp_path):
    version = output(run, {}, uri="/nowhere")
    assert alices("artifact", "download", str(version.pk), "--to", str(tmp_path / "x")).exit_code == 1
    assert not (tmp_path / "x").exists()


@pytest.fixture
def here(tmp_path):
    """A folder with nothing else in it."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_an_archive_writes_nowhere_else(here):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/b.txt", "b")
        archive.writestr("../outside.txt", "x")
    (here / "x.zip").write_bytes(packed.getvalue())
    with pytest.raises(ValidationFailed, match="outside of itself"):
        unpack(here / "x.zip", here / "x")
    assert [path.name for path in here.iterdir()] == ["x.zip"]


def test_an_archive_takes_the_place_of_what_was_there_as_a_whole(here):
    (here / "x").mkdir()
    (here / "x/old.txt").write_text("old")
    with zipfile.ZipFile(here / "x.zip", "w") as archive:
        archive.writestr("new.txt", "new")
    unpack(here / "x.zip", here / "x")
    assert [path.name for path in (here / "x").iterdir()] == ["new.txt"]
    assert {path.name for path in here.iterdir()} == {"x", "x.zip"}


def test_an_archive_that_breaks_in_its_middle_leaves_all_as_it_was(here):
    with zipfile.ZipFile(here / "x.zip", "w") as archive:
        archive.writestr("a.txt", "first")
        archive.writestr("b.txt", "second")
    packed = (here / "x.zip").read_bytes()
    (here / "x.zip").write_bytes(packed.replace(b"second", b"sec0nd", 1))
    (here / "x").mkdir()
    (here / "x/old.txt").write_text("old")
    with pytest.raises(ValidationFailed, match="no readable zip: Bad CRC"):
        unpack(here / "x.zip", here / "x")
    assert {str(path.relative_to(here)) for path in here.rglob("*")} == {"x", "x/old.txt", "x.zip"}


def test_an_archive_larger_than_the_disk_is_not_unpacked(here):
    with zipfile.ZipFile(here / "x.zip", "w") as archive:
        archive.writestr("a.txt", "first")
    with pytest.raises(ValidationFailed, match="Unpacked it has 5 bytes, for which there is no room here"):
        unpack(here / "x.zip", here / "x", limit=4)
    assert [path.name for path in here.iterdir()] == ["x.zip"]


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="orders.csv"', "orders.csv"),
        ("attachment; filename=\"x.csv\"; filename*=utf-8''%C3%A4.csv", "ä.csv"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment; filename*=utf-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ('attachment; filename="..\\\\..\\\\x.bat"', "x.bat"),
        ('attachment; filename=".."', "file"),
        ("", "file"),
    ],
)
def test_a_file_is_called_as_the_server_says_and_no_path(disposition, name):
    assert file_name_of(disposition) == name
