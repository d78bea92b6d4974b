"""What is done with accounts: keys are made and recognised, tokens are given out."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt
from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.db.models import DateTimeField, UUIDField
from django.utils import timezone

from zenweb.accounts.models import ApiKey, Project, User
from zenweb.exceptions import CredentialsNotValid, DoesNotExist, EntityExists
from zenweb.prepared import Given, Prepared

KEY_PREFIX = "ZENKEY_"
SIGNATURE = "HS256"
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


def default_project() -> Project:
    return Project.objects.get_or_create(name=Project.DEFAULT, defaults={"display_name": Project.DEFAULT})[0]


def find_project(name_or_id: str | None) -> Project:
    """The project of that name or id; the default one when none is given."""
    if not name_or_id:
        return default_project()
    try:
        by_id = uuid.UUID(name_or_id)
    except ValueError:
        found = Project.objects.filter(name=name_or_id).first()
    else:
        found = Project.objects.filter(id=by_id).first()
    if found is None:
        raise DoesNotExist(f"There is no project {name_or_id!r}.")
    return found


@transaction.atomic
def create_api_key(
    *, user: User, name: str, description: str = "", expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key and its text, `ZENKEY_` + base64 of `{"id", "key"}` as ZenML writes it. The text is not kept."""
    if ApiKey.objects.filter(user=user, name=name).exists():
        raise EntityExists(f"{user.username} already has an API key called {name!r}. Choose another name.")
    secret = secrets.token_hex(32)
    api_key = ApiKey.objects.create(
        user=user, name=name, description=description, expires_at=expires_at, secret_hash=_hash(secret)
    )
    return api_key, _key_text(api_key.id, secret)


def authenticate_bearer(text: str) -> Credentials:
    """Whom a Bearer token stands for: an API key itself, or an access token got for one."""
    return _authenticate_key(text) if text.startswith(KEY_PREFIX) else _authenticate_token(text)


def sign_in(*, username: str, password: str) -> Credentials:
    """Check what was given at the REST login; without a user name the password is an API key."""
    if not username:
        return _authenticate_key(password)
    user = authenticate(username=username, password=password)
    if not isinstance(user, User) or user.is_service_account:
        raise CredentialsNotValid("This user name and password do not belong together.")
    return Credentials(user)


def issue_token(credentials: Credentials, lifetime: timedelta) -> str:
    """A signed access token; it ends with its lifetime, its key or its user, whichever comes first."""
    claims = {
        "sub": str(credentials.user.id),
        "key": str(credentials.api_key.id) if credentials.api_key else None,
        "exp": timezone.now() + lifetime,
    }
    return jwt.encode(claims, settings.SECRET_KEY, algorithm=SIGNATURE)


def _authenticate_key(text: str) -> Credentials:
    refusal = CredentialsNotValid("This API key is not known, has expired or was revoked.")
    try:
        fields = json.loads(base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True))
        key_id, secret = uuid.UUID(fields["id"]), str(fields["key"])
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise refusal from error
    api_key = USABLE_KEY.first(id=key_id, now=timezone.now())
    if api_key is None or not hmac.compare_digest(api_key.secret_hash, _hash(secret)):
        raise refusal
    _note_use(api_key)
    return Credentials(api_key.user, api_key)


def _authenticate_token(text: str) -> Credentials:
    try:
        claims = jwt.decode(
            text, settings.SECRET_KEY, algorithms=[SIGNATURE], options={"require": ["exp", "sub"]}
        )
    except jwt.PyJWTError as error:
        raise CredentialsNotValid(
            "This is no API key or access token of this server, or it has expired."
        ) from error
    refusal = CredentialsNotValid("The account or key behind this access token is no longer active.")
    if claims.get("key"):
        api_key = USABLE_KEY.first(id=uuid.UUID(claims["key"]), now=timezone.now())
        if api_key is None or str(api_key.user_id) != claims["sub"]:
            raise refusal
        return Credentials(api_key.user, api_key)
    user = User.objects.filter(id=claims["sub"], is_active=True).first()
    if user is None:
        raise refusal
    return Credentials(user)


def _note_use(api_key: ApiKey) -> None:
    now = timezone.now()
    if api_key.last_used_at is None or now - api_key.last_used_at > LAST_USE_PRECISION:
        ApiKey.objects.filter(id=api_key.id).update(last_used_at=now)


def _key_text(key_id: uuid.UUID, secret: str) -> str:
    fields = json.dumps({"id": str(key_id), "key": secret})
    return KEY_PREFIX + base64.b64encode(fields.encode()).decode()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
