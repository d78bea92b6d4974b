"""`load_artifact` asks the client which artifact is meant, and loads it here."""

from types import SimpleNamespace
from uuid import UUID

import pytest

from zenweb.artifacts import materializers, utils


@pytest.mark.parametrize("asked", [("metrics",), ("metrics", "2"), (UUID(int=1),)])
def test_an_artifact_is_loaded_by_name_version_or_id(asked, tmp_path, monkeypatch):
    saved = materializers.save({"accuracy": 0.9}, None, str(tmp_path))
    lookups = []

    def get_artifact_version(*lookup: object) -> SimpleNamespace:
        lookups.append(lookup)
        return SimpleNamespace(load=lambda: materializers.load(str(tmp_path), saved.materializer))

    monkeypatch.setattr(utils, "Client", lambda: SimpleNamespace(get_artifact_version=get_artifact_version))
    assert utils.load_artifact(*asked) == {"accuracy": 0.9}
    assert lookups == [(asked[0], asked[1] if len(asked) > 1 else None)]
