# Written by `make docs` from zenweb/responses/artifacts.py: change that.
"""Values that steps made, and files that were uploaded."""

import asyncio
from collections.abc import Mapping
from typing import Any

from zenweb.aio.responses.entity import Entity
from zenweb.artifacts import materializers
from zenweb.execution.metadata import decode_metadata

ARTIFACT_VERSIONS = "/artifact_versions"


class ArtifactVersionResponse(Entity):
    path = ARTIFACT_VERSIONS

    @property
    def name(self) -> str:
        return str(self.body["artifact"]["name"])

    @property
    def version(self) -> str:
        return str(self.body["version"])

    @property
    def uri(self) -> str:
        return str(self.body["uri"])

    @property
    def type(self) -> str:
        return str(self.body["type"])

    @property
    def materializer(self) -> str:
        """`module.Class`"""
        return _class_path(self.body["materializer"])

    @property
    def data_type(self) -> str:
        """`module.Class`"""
        return _class_path(self.body["data_type"])

    @property
    def run_metadata(self) -> dict[str, Any]:
        """Facts about the value, and what was noted about it."""
        return decode_metadata(self.metadata["run_metadata"])

    async def load(self) -> Any:
        """The value itself, from the artifact store."""
        return await asyncio.to_thread(materializers.load, self.uri, self.materializer)


def _class_path(source: Mapping[str, str]) -> str:
    return f"{source['module']}.{source['attribute']}"
