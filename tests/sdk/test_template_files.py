"""Templates as files: the document and the bundle are read, checked and written, always the same way."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from zenweb.config.code_archive import pack
from zenweb.config.template_bundle import (
    CODE,
    DOCUMENT,
    TemplateBundle,
    bundle,
    open_bundle,
    read_bundle,
    write_bundle,
)
from zenweb.config.template_file import (
    TemplateDocument,
    frozen_spec,
    read_document,
    read_template_file,
    write_template_file,
)
from zenweb.exceptions import CodeArchiveRefused, ValidationFailed

PIPELINE = {
    "name": "training_pipeline",
    "code": "sha256:" + "9f" * 32,
    "python_version": "3.11",
    "client_version": "0.1.0",
    "requirements": ["polars>=1"],
    "config_template": {"steps": {"trainer": {"parameters": {"rate": 1e-05, "label": "NO", "at": "12:30"}}}},
    "spec": {"version": 1, "name": "training_pipeline", "source": "run.training_pipeline", "steps": []},
    "config_schema": {"type": "object", "properties": {"steps": {"properties": {}}}},
}
WHOLE = {
    "format": 1,
    "name": "daily-retraining",
    "description": "Trains.\nEvery night.",
    "tags": ["nightly"],
    "hidden": False,
    "enabled": True,
    "concurrency": {"max_concurrent_runs": 2, "policy": "skip"},
    "stack": "celery",
    "presets": {"careful": {"steps": {"trainer": {"parameters": {"rate": 0.01}}}}},
    "access": {"restricted": True, "roles": {"bob": "runner", "group:data science": "editor"}},
    "curation": {"version": 1, "parameters": {"trainer.rate": {"maximum": 0.5}}},
    "pipeline": PIPELINE,
}


def packed(folder: Path, text: str = "print('run')\n") -> tuple[TemplateDocument, bytes]:
    (folder / "run.py").write_text(text)
    archive = pack(folder)
    document = read_document({**WHOLE, "pipeline": {**PIPELINE, "code": f"sha256:{archive.sha256}"}})
    return document, archive.content


def test_what_is_written_is_read_as_the_same_and_written_the_same() -> None:
    text = write_template_file(read_document(WHOLE))
    document = read_template_file(text, "t.yaml")
    assert document.to_json() == WHOLE
    assert write_template_file(document) == text


def test_what_is_not_said_is_not_written() -> None:
    assert (
        write_template_file(read_document({"format": 1, "name": "greeting"})) == "format: 1\nname: greeting\n"
    )


def test_roles_and_presets_are_written_by_name() -> None:
    said = {**WHOLE, "presets": {"b": {}, "a": {}}, "access": {"roles": {"zoe": "viewer", "bob": "runner"}}}
    document = read_document(said).to_json()
    assert [*document["presets"]] == ["a", "b"]
    assert [*document["access"]["roles"]] == ["bob", "zoe"]


def test_writing_over_a_file_keeps_its_comments_and_order() -> None:
    text = "# Ours\nname: greeting  # said by all\nformat: 1\ntags:\n  - old  # to go\n"
    new = write_template_file(
        read_document({"format": 1, "name": "greeting", "hidden": True, "tags": ["new"]}), over=text
    )
    assert new.startswith("# Ours\nname: greeting  # said by all\nformat: 1\n")
    assert read_template_file(new, "t.yaml").tags == ["new"]
    assert write_template_file(read_template_file(new, "t.yaml"), over=new) == new


def test_without_comments_the_order_is_kept_too() -> None:
    written = write_template_file(
        read_document({"format": 1, "name": "b", "hidden": True}), over="name: a\nformat: 1\n"
    )
    assert written == "name: b\nformat: 1\nhidden: true\n"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"format": 2}, "made by a newer ZenWeb: it has version 2, and this one knows only 1. Update"),
        ({"format": 1, "nmae": "x"}, "/nmae: There is no 'nmae' here. Did you mean 'name'?"),
        (
            {"format": 1, "name": "x", "access": {"role": {}}},
            "/access/role: There is no 'role' here. Did you mean 'roles'?",
        ),
        ({"format": 1, "name": "x", "access": {"roles": {"bob": "king"}}}, "/access/roles/bob: "),
        ({"format": 1, "name": "x", "pipeline": {**PIPELINE, "code": "sha256:9f"}}, "/pipeline/code: "),
        ({"name": "x"}, "those begin with `format: 1`"),
        ([], "those begin with `format: 1`"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(said: Any, sentence: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        read_document(said)
    assert sentence in str(refused.value)


def test_a_file_tells_the_line() -> None:
    with pytest.raises(ValidationFailed, match=r"t\.yaml, line 3: There is no 'hiden' here"):
        read_template_file("format: 1\nname: x\nhiden: true\n", "t.yaml")


def test_a_spec_of_a_newer_version_is_refused_in_words() -> None:
    said = {**PIPELINE, "spec": {**PIPELINE["spec"], "version": 99}}  # type: ignore[dict-item]
    document = read_document({"format": 1, "name": "x", "pipeline": said})
    assert document.pipeline is not None
    with pytest.raises(
        ValidationFailed, match="/pipeline/spec/version: The pipeline's spec here was made by a newer ZenWeb"
    ):
        frozen_spec(document.pipeline)


def test_a_bundle_is_the_same_bytes_and_holds_the_identical_archive(tmp_path: Path) -> None:
    document, code = packed(tmp_path)
    content = write_bundle(bundle(document, code))
    path = tmp_path / "t.zip"
    path.write_bytes(content)
    found = read_bundle(path)
    assert found == TemplateBundle(document, document.pipeline, code)  # type: ignore[arg-type]
    assert write_bundle(found) == content


def test_a_bundle_with_other_code_than_it_says_is_refused(tmp_path: Path) -> None:
    document, _ = packed(tmp_path)
    _, other = packed(tmp_path, "print('stolen')\n")
    with zipfile.ZipFile(changed := io.BytesIO(), "w") as archive:
        archive.writestr(DOCUMENT, write_template_file(document))
        archive.writestr(CODE, other)
    with pytest.raises(CodeArchiveRefused, match=r"t\.zip: The code archive is not the one its hash names"):
        open_bundle(changed.getvalue(), "t.zip")


def test_a_bundle_cut_off_or_with_more_in_it_is_refused(tmp_path: Path) -> None:
    content = write_bundle(bundle(*packed(tmp_path)))
    with pytest.raises(ValidationFailed, match="no readable zip"):
        open_bundle(content[:-40], "t.zip")
    grown = io.BytesIO(content)
    with zipfile.ZipFile(grown, "a") as archive:
        archive.writestr("../evil.py", "x")
    with pytest.raises(
        ValidationFailed, match=r"a zip of template\.yaml and code\.tar\.gz, and nothing else"
    ):
        open_bundle(grown.getvalue(), "t.zip")


def test_a_bundle_that_says_no_pipeline_is_none(tmp_path: Path) -> None:
    _, code = packed(tmp_path)
    with pytest.raises(ValidationFailed, match="/pipeline: "):
        bundle(read_document({"format": 1, "name": "x"}), code)
