"""Handing out what was uploaded or made by a step: to be saved, never to be shown or run by a browser."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header
from rest_framework.request import Request

from runs_app.found_files import is_single_file, readable_address, readable_folder, root_of
from runs_app.models import ArtifactVersion
from zenweb.api.places import DOWNLOADING, SLOWEST, Place, Places
from zenweb.api.ranges import asked_range
from zenweb.artifacts import store

CONTENT_TYPE, ZIP_TYPE = "application/octet-stream", "application/zip"
PIECE = 64 * 1024
DOWNLOADS = Places(DOWNLOADING, "Too many download from here at once. Ask again later.", slowest=SLOWEST)


def attachment(request: HttpRequest | Request, version: ArtifactVersion) -> HttpResponseBase:
    """An artifact version: its file, or all of its files in one archive.

    Raises DoesNotExist where none can be had, ServerBusy before anything is looked for.
    """
    with DOWNLOADS.taken_by(request.user.pk) as place:
        if is_single_file(version):
            address, name = readable_address(version)
            return _file(request, place, version, address, name)
        folder, paths, name = readable_folder(version)
        if len(paths) == 1 and folder == version.uri:  # a value that is one file, such as an array
            name += PurePosixPath(paths[0]).suffix
            return _file(request, place, version, store.join(folder, paths[0]), name)
        return _archive(request, place, version, folder, paths, name)


def _file(
    request: HttpRequest | Request, place: Place, version: ArtifactVersion, address: str, name: str
) -> HttpResponseBase:
    """Or the part of it that is asked for."""
    size = store.size(address)
    etag = f'"{version.pk.hex}-{size:x}"'  # a version never changes
    headers = _headers(name, CONTENT_TYPE) | {"ETag": etag, "Accept-Ranges": "bytes"}
    if (unchanged := get_conditional_response(request, etag)) is not None:
        unchanged["ETag"] = etag
        return unchanged
    whole = range(size)
    part = whole
    if request.method == "GET" and (asked := request.headers.get("Range")):
        part = asked_range(asked, request.headers.get("If-Range", ""), size, etag) or whole
    headers["Content-Length"] = str(len(part))
    if part is not whole:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    if request.method == "HEAD":
        return HttpResponse(headers=headers)
    return StreamingHttpResponse(
        place.seat(FilePart(address, root_of(version), part)),
        status=200 if part is whole else 206,
        headers=headers,
    )


def _archive(
    request: HttpRequest | Request,
    place: Place,
    version: ArtifactVersion,
    folder: str,
    paths: list[str],
    name: str,
) -> HttpResponseBase:
    headers = _headers(f"{name}.zip", ZIP_TYPE) | {"Accept-Ranges": "none"}
    if request.method == "HEAD":
        return HttpResponse(headers=headers)
    return StreamingHttpResponse(place.seat(zipped(folder, paths, root_of(version))), headers=headers)


def _headers(name: str, content_type: str) -> dict[str, str]:
    return {
        "Content-Type": content_type,
        "Content-Disposition": content_disposition_header(True, name) or "attachment",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private",
    }


class FilePart:
    """Some bytes of a file below `root`, piece by piece."""

    def __init__(self, address: str, root: str, part: range) -> None:
        self._file = store.open_within(address, root)
        self._left = len(part)
        if part.start:
            self._file.seek(part.start)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self._file.read(min(PIECE, self._left))
        if not piece:
            raise StopIteration
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


def zipped(folder: str, paths: list[str], root: str) -> Iterator[bytes]:
    """An archive of files, made as it is read: no more of it is held than a piece and the list of its entries.

    The folder is below `root`, and so is all that is handed out of it.
    """
    made = _Outlet()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for path in paths:
            with (
                store.open_within(
                    store.join(folder, path), root
                ) as source,  # it may have become a link since
                archive.open(zipfile.ZipInfo(_entry(path)), "w", force_zip64=True) as entry,
            ):
                while piece := source.read(PIECE):
                    entry.write(piece)
                    yield made.taken()
    yield made.taken()


def _entry(path: str) -> str:
    """Names that every system takes, and none of them leads out of the folder that it is unpacked into."""
    parts = path.replace("\\", "_").split("/")
    return (
        "/".join("_" if part in {"", ".", ".."} else part for part in parts)
        .encode("utf-8", "replace")
        .decode()
    )


class _Outlet(io.RawIOBase):
    """Where an archive is written to that goes out at once."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken
