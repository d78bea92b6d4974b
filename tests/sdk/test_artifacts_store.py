"""Files of artifacts: local ones by the operating system, others through fsspec, errors as sentences."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from zenweb.artifacts import materializers, store
from zenweb.artifacts.store import ArtifactStoreError
from zenweb.exceptions import DoesNotExist


@pytest.fixture(params=["path", "file", "memory"])
def root(request, tmp_path):
    return {
        "path": str(tmp_path / "the store"),
        "file": (tmp_path / "the store").as_uri(),
        "memory": f"memory://{uuid4().hex}",
    }[request.param]


def test_bytes_are_read_as_written(root):
    uri = store.join(root, "run", "data.bin")
    store.write_bytes(uri, b"first")
    store.write_bytes(uri, b"second")
    assert store.read_bytes(uri) == b"second"
    with store.open(uri) as file:
        assert file.read(3) == b"sec"


def test_nothing_outside_of_a_folder_is_opened_where_it_has_to_be_within(root):
    for name in ("run/value", "other"):
        store.write_bytes(store.join(root, name), b"x")
    with store.open_within(store.join(root, "run", "value"), root) as file:
        assert file.read() == b"x"
    for outside in (store.join(root, "run", "..", "other"), store.join(root, "other"), "/etc/passwd"):
        with pytest.raises(ArtifactStoreError, match="outside"):
            store.open_within(outside, store.join(root, "run"))


def test_where_it_has_to_be_within_no_link_is_followed_and_nothing_but_a_file_opened(tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "store" / "linked").symlink_to(tmp_path)
    (tmp_path / "store" / "folder").mkdir()
    os.mkfifo(tmp_path / "store" / "pipe")
    for name in ("link", "linked/secret", "folder", "pipe"):
        with pytest.raises(ArtifactStoreError):
            store.open_within(str(tmp_path / "store" / name), str(tmp_path / "store"))
    (tmp_path / "entry").symlink_to(
        tmp_path / "store"
    )  # how the store itself is called is its owner's to say
    (tmp_path / "store" / "file").touch()
    store.open_within(str(tmp_path / "store" / "file"), str(tmp_path / "entry")).close()


def test_files_can_be_looked_for_listed_and_measured(root):
    store.write_bytes(store.join(root, "run", "b"), b"12")
    store.write_bytes(store.join(root, "run", "deep", "a"), b"345")
    assert store.list(store.join(root, "run")) == ["b", "deep"]
    assert store.size(root) == 5
    assert store.size(store.join(root, "run", "b")) == 2
    assert store.exists(store.join(root, "run"))
    assert not store.exists(store.join(root, "run", "c"))
    assert not store.exists(store.join(root, "run", "b", "below a file"))


def test_a_library_writes_and_reads_by_local_path(root):
    with store.writing(store.join(root, "run", "data.txt")) as path:
        path.write_text("from a library")
    with store.reading(store.join(root, "run", "data.txt")) as path:
        assert (path.suffix, path.read_text()) == (".txt", "from a library")


def test_a_file_that_was_not_finished_is_never_seen(root):
    store.write_bytes(store.join(root, "run", "a"), b"")

    def write_half() -> None:
        with store.writing(store.join(root, "run", "data.txt")) as path:
            path.write_text("half of")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert store.list(store.join(root, "run")) == ["a"]


def test_folders_are_copied_there_and_back(root, tmp_path):
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("1")
    store.upload(folder, store.join(root, "run", "folder"))
    store.download(store.join(root, "run", "folder"), tmp_path / "back")
    assert (tmp_path / "back" / "deep" / "file").read_text() == "1"


def test_values_are_saved_to_any_store(root, tmp_path):
    (tmp_path / "report.txt").write_text("text")
    for number, value in enumerate([{"a": 1}, b"bytes", tmp_path / "report.txt"]):
        saved = materializers.save(value, None, store.join(root, str(number)))
        loaded = materializers.load(store.join(root, str(number)), saved.materializer)
        assert (loaded.read_text() if isinstance(loaded, Path) else loaded) in [value, "text"]


def test_what_is_not_there_is_said_with_its_address(root):
    store.write_bytes(store.join(root, "a"), b"")
    with pytest.raises(DoesNotExist, match=r"There is nothing at .*missing"):
        store.read_bytes(store.join(root, "missing"))


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_a_store_that_cannot_be_written_says_why_and_leaves_nothing(code, sentence, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(store, "_write_all", fail)
    with pytest.raises(ArtifactStoreError, match=f"cannot be written at {tmp_path}/run/a: {sentence}"):
        store.write_bytes(f"{tmp_path}/run/a", b"x")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_file_where_the_store_should_be_is_named(tmp_path):
    (tmp_path / "store").write_text("")
    with pytest.raises(ArtifactStoreError, match="a file is where a folder should be"):
        store.write_bytes(f"{tmp_path}/store/run/a", b"x")


def test_a_store_that_does_not_answer_is_not_taken_for_an_empty_one(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.info", refuse)
    with pytest.raises(ArtifactStoreError, match=r"cannot be read at memory://x: Connection refused"):
        store.exists("memory://x")


def test_what_a_driver_raises_is_put_into_the_sentence(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("NoCredentials: unable to locate credentials")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.pipe_file", refuse)
    with pytest.raises(ArtifactStoreError, match="unable to locate credentials"):
        store.write_bytes("memory://x/a", b"")


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("relative/path", "give an absolute path or a URL"),
        ("nonsense://x", "unknown kind"),
        ("adl://x", "needs a package that is not installed"),
    ],
)
def test_an_address_that_cannot_be_served_says_what_is_wrong(uri, sentence):
    with pytest.raises(ArtifactStoreError, match=sentence):
        store.exists(uri)


def test_saving_a_number_to_a_local_store_imports_no_library(tmp_path):
    code = f"""
import sys
from zenweb.artifacts import materializers, unmaterialized_artifact
materializers.load({str(tmp_path)!r}, materializers.save(1, int, {str(tmp_path)!r}).materializer)
print(sorted({{"fsspec", "numpy", "pandas", "pydantic", "cloudpickle", "django"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
