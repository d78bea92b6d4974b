"""Files on their way in: no more of one is kept than the server takes, and a raw body is handed on as it comes."""

from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from rest_framework.parsers import BaseParser

from zenweb.exceptions import MalformedRequest

PIECE = 64 * 1024


class BoundedTemporaryUpload(TemporaryFileUploadHandler):
    """A form's file in a temporary one. Of what is too large the beginning is kept, and the size that it had."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if start + len(raw_data) <= settings.UPLOAD_LIMIT:
            super().receive_data_chunk(raw_data, start)


class StreamParser(BaseParser):
    """The body, to be read by whoever wants it."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> IO[bytes]:
        return stream


def pieces_of(stream: IO[bytes], announced: int | None) -> Iterator[bytes]:
    """The body in pieces. Raises MalformedRequest when it ends before the length that was announced."""
    received = 0
    while piece := stream.read(PIECE):
        received += len(piece)
        yield piece
    if announced is not None and received < announced:
        raise MalformedRequest("The upload broke off before its end: send the file again.")
