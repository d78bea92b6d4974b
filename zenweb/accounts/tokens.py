"""Bearer tokens: API keys are recognised, access tokens are given out and recognised."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
from django.conf import settings
from django.db.models import DateTimeField, UUIDField
from django.utils import timezone

from zenweb.accounts.models import ApiKey, User
from zenweb.exceptions import CredentialsNotValid, NotAllowed
from zenweb.prepared import Given, Prepared

KEY_PREFIX = "ZENKEY_"
SIGNATURE = "HS256"
HASH_SHOWN = 16  # characters of a key's hash that a token names; nothing can be done with them
# Last use is shown to the minute, so that a busy key does not write a row at every request.
LAST_USE_PRECISION = timedelta(minutes=1)
USABLE_KEY = Prepared(
    lambda: (
        ApiKey.objects.usable(now=Given("now", DateTimeField()))
        .select_related("user")
        .filter(id=Given("id", UUIDField()))
    )
)


@dataclass(frozen=True)
class Credentials:
    """Who is asking and, when a key or its token was used, with which key."""

    user: User
    api_key: ApiKey | None = None


def new_secret() -> tuple[str, str]:
    """A secret, and its hash."""
    secret = secrets.token_hex(32)
    return secret, hash_of(secret)


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def key_text(key_id: uuid.UUID, secret: str) -> str:
    """`ZENKEY_` + base64 of `{"id", "key"}`, as ZenML writes it."""
    fields = json.dumps({"id": str(key_id), "key": secret})
    return KEY_PREFIX + base64.b64encode(fields.encode()).decode()


def authenticate_bearer(text: str) -> Credentials:
    """Whom a Bearer token stands for: an API key itself, or an access token got for one."""
    return authenticate_key(text) if text.startswith(KEY_PREFIX) else _authenticate_token(text)


def authenticate_key(text: str) -> Credentials:
    refusal = CredentialsNotValid("This API key is not known, has expired or was revoked.")
    try:
        fields = json.loads(base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True))
        key_id, secret = uuid.UUID(fields["id"]), str(fields["key"])
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise refusal from error
    credentials = _with_key(key_id, hash_of(secret))
    if credentials is None:
        raise refusal
    return credentials


def issue_token(credentials: Credentials, lifetime: timedelta, *, is_temporary: bool = False) -> str:
    """A signed access token; it ends with its lifetime, its key or its user's password, whichever comes first.

    `is_temporary`: what is made with it ends with it too.
    """
    user, key = credentials.user, credentials.api_key
    if user.step_in_use is not None:
        raise NotAllowed("A step's token gets no other token: it would outlive the step.")
    ends_at = earliest(timezone.now() + lifetime, end_of(user))
    claims = {
        "sub": str(user.id),
        "exp": ends_at,
        "key": str(key.id) if key else None,
        "of": key.hash_in_use[:HASH_SHOWN] if key else _password_mark(user),
        "temporary": is_temporary or user.token_ends_at is not None,
    }
    return jwt.encode(claims, settings.SECRET_KEY, algorithm=SIGNATURE)


def end_of(user: User) -> datetime | None:
    """When that ends with which somebody asks, if it does: nothing that they make may outlive it."""
    key = user.api_key_in_use
    return earliest(user.token_ends_at, key.expires_at if key else None)


def earliest(*moments: datetime | None) -> datetime | None:
    """The first of these; None stands for never."""
    return min((moment for moment in moments if moment is not None), default=None)


def _authenticate_token(text: str) -> Credentials:
    try:
        claims = jwt.decode(
            text, settings.SECRET_KEY, algorithms=[SIGNATURE], options={"require": ["exp", "sub", "of"]}
        )
    except jwt.PyJWTError as error:
        raise CredentialsNotValid(
            "This is no API key or access token of this server, or it has expired."
        ) from error
    mark = str(claims["of"])
    if claims.get("key"):
        credentials = _with_key(uuid.UUID(claims["key"]), mark)
    else:
        user = User.objects.filter(id=claims["sub"], is_active=True).first()
        is_same = user is not None and hmac.compare_digest(_password_mark(user), mark)
        credentials = Credentials(user) if user is not None and is_same else None
    if credentials is None or str(credentials.user.id) != claims["sub"]:
        raise CredentialsNotValid(
            "The account or key behind this access token is no longer active, or has another secret."
        )
    if claims.get("temporary"):
        credentials.user.token_ends_at = datetime.fromtimestamp(claims["exp"], UTC)
    return credentials


def _with_key(key_id: uuid.UUID, mark: str) -> Credentials | None:
    """Its account by a key's id and the hash of its secret, or the beginning of that which a token names."""
    now = timezone.now()
    api_key = USABLE_KEY.first(id=key_id, now=now)
    if api_key is None:
        return None
    for known in api_key.secret_hashes(now):
        if len(mark) >= HASH_SHOWN and hmac.compare_digest(known[: len(mark)], mark):
            _note_use(api_key, now)
            api_key.hash_in_use, api_key.user.api_key_in_use = known, api_key
            return Credentials(api_key.user, api_key)
    return None


def _password_mark(user: User) -> str:
    """Changes with the password, so that tokens end with it as sessions do."""
    return str(user.get_session_auth_hash())[:HASH_SHOWN]


def _note_use(api_key: ApiKey, now: datetime) -> None:
    if api_key.last_used_at is None or now - api_key.last_used_at > LAST_USE_PRECISION:
        ApiKey.objects.filter(id=api_key.id).update(last_used_at=now)
