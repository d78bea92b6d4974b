"""The unpacked code of deployments: shared by all attempts, read-only, and proven again before a process imports it."""

import logging
import threading
from pathlib import Path

from django.conf import settings

from runs_app.plans import Plan
from templates_app.models import CodeArchive
from zenweb.config.code_archive import Manifest, discard, unpack

logger = logging.getLogger(__name__)


class CodeFolders:
    """Those below one folder, each named after the hash of its archive."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._manifests: dict[str, Manifest] = {}

    def folder_of(self, plan: Plan) -> Path:
        """The deployment's code, unpacked once."""
        folder = self._root / plan.code_sha256
        if not folder.exists():
            with self._lock:
                _unpack(folder)
        return folder

    def prove(self, folder: Path) -> None:
        """Make sure that the folder holds what its archive holds: a step of another run may have changed it.

        What is compared with comes from the database, since a step that can change the code could change a list
        beside it too.
        """
        with self._lock:
            if not self._manifest_of(folder.name).is_that_of(folder):
                logger.warning(
                    "The code in %s is not what its archive holds: it was changed since. It is unpacked again.",
                    folder,
                )
                discard(folder)
                _unpack(folder)

    def _manifest_of(self, sha256: str) -> Manifest:
        if sha256 not in self._manifests:
            self._manifests[sha256] = Manifest.of(_content_of(sha256))
        return self._manifests[sha256]


def _unpack(folder: Path) -> None:
    unpack(_content_of(folder.name), folder, sha256=folder.name, limit=settings.CODE_ARCHIVE_LIMIT)


def _content_of(sha256: str) -> bytes:
    return bytes(CodeArchive.objects.values_list("content", flat=True).get(sha256=sha256))
