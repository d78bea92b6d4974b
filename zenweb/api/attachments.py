"""What a browser or a program calls a file that it saves."""

import unicodedata
from urllib.parse import quote

from django.utils.http import content_disposition_header


def attachment_named(name: str) -> str:
    """A Content-Disposition. Beside a name in UTF-8 is one in ASCII: `curl -OJ` and others read no other."""
    header = content_disposition_header(True, name) or "attachment"
    if name.isascii():
        return header
    letters = unicodedata.normalize("NFKD", name)
    plain = "".join(
        letter if letter.isascii() else "_" for letter in letters if not unicodedata.combining(letter)
    )
    return f"{content_disposition_header(True, plain)}; filename*=utf-8''{quote(name, safe='')}"
