"""Each kind of preview becomes one that ZenML's clients show."""

import json
from pathlib import Path

import pytest

from runs_app.models import ArtifactVersion, PipelineRun
from tests.wire.conftest import Get

TABLE = json.dumps({"columns": ["a", "b"], "rows": [[1, "x,y"], [None, "z"]], "total_rows": 2})


def show(get: Get, kind: str, file: str, content: bytes, code: int = 200) -> dict[str, str]:
    version = ArtifactVersion.objects.get(artifact__name="metrics")
    (Path(version.uri) / Path(file).name).write_bytes(content)
    ArtifactVersion.objects.filter(pk=version.pk).update(preview={"kind": kind, "file": file})
    shown: dict[str, str] = get(f"/artifact_versions/{version.pk}/visualize", code=code)
    return shown


@pytest.mark.parametrize(
    ("kind", "content", "expected_type", "expected"),
    [
        ("table", TABLE.encode(), "csv", 'a,b\r\n1,"x,y"\r\n,z\r\n'),
        ("image", b"\x89PNG", "image", "iVBORw=="),
        ("figure", b'{"data": []}', "json", '{"data": []}'),
        ("html", b"<p>ok</p>", "html", "<p>ok</p>"),
        ("markdown", b"# ok", "markdown", "# ok"),
        ("text", b"1 < 2", "html", "<pre>1 &lt; 2</pre>"),
    ],
)
def test_a_preview_is_told_in_zenmls_kinds(
    get: Get, ended: PipelineRun, kind: str, content: bytes, expected_type: str, expected: str
) -> None:
    assert show(get, kind, "p", content) == {"type": expected_type, "value": expected}


@pytest.mark.parametrize(
    ("kind", "file", "content"),
    [("text", "../p", b"x"), ("table", "p", b"not JSON"), ("table", "p", b"[]"), ("hologram", "p", b"x")],
)
def test_what_cannot_be_shown_is_not_found(
    get: Get, ended: PipelineRun, kind: str, file: str, content: bytes
) -> None:
    assert show(get, kind, file, content, code=404)["detail"][0] == "KeyError"
