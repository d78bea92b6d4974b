"""Files on their way in: no more of one is kept than the server takes, and a raw body is handed on as it comes."""

from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, TemporaryFileUploadHandler
from django.utils.translation import gettext
from rest_framework.parsers import BaseParser

from zenweb.config.file_references import size_words
from zenweb.exceptions import BodyTooLarge, MalformedRequest

PIECE = 64 * 1024


class RequestTooLarge(BodyTooLarge, RequestDataTooBig):
    """Django knows it as what it is where a form is read before any view is called."""


class UploadGate(FileUploadHandler):
    """Stands before the others: no request brings more than the server takes at once, and no stranger a file.

    What a stranger typed is read all the same: a form that was sent after its session had ended comes back filled.
    """

    def handle_raw_input(self, stream: Any, meta: Any, content_length: int, *options: Any) -> None:
        if content_length > settings.UPLOAD_REQUEST_LIMIT:
            raise RequestTooLarge(
                gettext(
                    "This form is larger than %(size)s with its files, which is the limit here. Send "
                    "fewer or smaller files at once."
                )
                % {"size": size_words(settings.UPLOAD_REQUEST_LIMIT)}
            )

    def new_file(self, *args: Any, **options: Any) -> None:
        super().new_file(*args, **options)
        user = getattr(self.request, "user", None)
        if user is None or not user.is_authenticated:
            raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None


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
        raise MalformedRequest(gettext("The upload broke off before its end: send the file again."))
