"""Secrets as they are kept: sealed with a key that is not in the database, and for one row alone.

A sealed value is a text: `zenweb-sealed:1:<name of the key>:<nonce and ciphertext>`. Whoever forgets to open it shows,
compares or passes on that text, and nothing else.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.translation import gettext

from zenweb.exceptions import SecretUnreadable

Json = Any
MARK = "zenweb-sealed:"
PREFIX = f"{MARK}1:"
NONCE = 12  # bytes


@dataclass(frozen=True)
class Key:
    """What is derived from one of the texts that the settings name."""

    name: str
    """Says nothing of the key, and is the same wherever the same text is."""
    cipher: AESGCM
    for_hashes: bytes


def seal(value: Json, of: uuid.UUID) -> str:
    """The value as it may be stored in the row with this id. Copied into another row, it cannot be opened there."""
    key, nonce = _keys()[0], os.urandom(NONCE)
    sealed = key.cipher.encrypt(nonce, json.dumps(value).encode(), of.bytes)
    return f"{PREFIX}{key.name}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def opened(value: Json, of: uuid.UUID) -> Json:
    """A value of this row with everything that is sealed in it opened. Raises SecretUnreadable."""
    if is_sealed(value):
        return _open(value, of)
    if isinstance(value, dict):
        return {name: opened(member, of) for name, member in value.items()}
    return [opened(member, of) for member in value] if isinstance(value, list) else value


def sealed_in(value: Json) -> Iterator[str]:
    """Every sealed text in a value."""
    if is_sealed(value):
        yield value
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from sealed_in(member)


def is_sealed(value: Json) -> bool:
    """Whether it looks so."""
    return isinstance(value, str) and value.startswith(MARK)


def is_sealed_with_newest(value: str) -> bool:
    return value.startswith(f"{PREFIX}{_keys()[0].name}:")


def keyed_hash(digest: str) -> str:
    """Of a hash: what was hashed cannot be guessed and tried without the key."""
    return _keyed(_keys()[0], digest)


def keyed_hashes(digest: str) -> list[str]:
    """With each of the keys, for what was stored before they were changed."""
    return [_keyed(key, digest) for key in _keys()]


def _keyed(key: Key, digest: str) -> str:
    return hmac.new(key.for_hashes, digest.encode(), hashlib.sha256).hexdigest()


def _open(text: str, of: uuid.UUID) -> Json:
    name, _, sealed = text.removeprefix(PREFIX).partition(":")
    key = next((key for key in _keys() if key.name == name), None)
    if key is None:
        raise SecretUnreadable(
            gettext(
                "A secret cannot be read: it was sealed with the key %(name)s, which this server does not have. Give "
                "it that key again (ZENWEB_ENCRYPTION_KEYS, or the file encryption_keys in its data folder), or give "
                "the secret anew."
            )
            % {"name": name[:16]}
        )
    try:
        content = base64.urlsafe_b64decode(sealed)
        return json.loads(key.cipher.decrypt(content[:NONCE], content[NONCE:], of.bytes))
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise SecretUnreadable(
            gettext(
                "A secret cannot be read: what is stored of it was changed, or is another row's. Give it anew."
            )
        ) from error


def _keys() -> tuple[Key, ...]:
    """The first one seals, all of them open."""
    return _derived(tuple(settings.ENCRYPTION_KEYS))


@lru_cache(maxsize=8)
def _derived(texts: tuple[str, ...]) -> tuple[Key, ...]:
    return tuple(map(_derive, texts))


def _derive(text: str) -> Key:
    derive = HKDF(algorithm=SHA256(), length=72, salt=None, info=b"zenweb: secrets at rest, 1")
    content = derive.derive(text.encode())
    return Key(name=content[64:].hex(), cipher=AESGCM(content[:32]), for_hashes=content[32:64])
