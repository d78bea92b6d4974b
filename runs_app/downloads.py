"""Handing out a file that was uploaded or made by a step: to be saved, never to be shown or run by a browser."""

from django.http import FileResponse

from runs_app.found_files import readable_address
from runs_app.models import ArtifactVersion
from zenweb.artifacts import store

CONTENT_TYPE = "application/octet-stream"
PIECE = 64 * 1024


def attachment(version: ArtifactVersion) -> FileResponse:
    """Raises DoesNotExist where there is no file to be had."""
    address, name = readable_address(version)
    response = FileResponse(store.open(address), as_attachment=True, filename=name, content_type=CONTENT_TYPE)
    response.block_size = PIECE
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = "private"
    return response
