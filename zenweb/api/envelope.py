"""The shape of every entity and page on the wire: ZenML's, so that its clients can read them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from zenweb.accounts.models import User

Json = dict[str, Any]

NO_STORE = {"Cache-Control": "no-store"}
"""The headers of an answer that carries a secret: nobody on the way keeps it (RFC 6749, 5.1)."""


def entity(
    row: Any, *, name: str | None, body: Json, metadata: Json | None = None, resources: Json | None = None
) -> Json:
    """`{id, permission_denied, name, body, metadata, resources}`; without a name the key is left out."""
    envelope: Json = {
        "body": {"created": wire_time(row.created), "updated": wire_time(row.updated), **body},
        "metadata": metadata,
        "resources": resources,
        "id": str(row.pk),
        "permission_denied": False,
    }
    return envelope if name is None else envelope | {"name": name}


def owned(row: Any) -> Json:
    """What the bodies of things that live in a project have in common."""
    return {"user_id": _id(row.user_id), "project_id": _id(row.project_id)}


def page(items: Sequence[Json], *, index: int, size: int, total: int) -> Json:
    return {
        "index": index,
        "max_size": size,
        "total_pages": max(1, -(-total // size)),
        "total": total,
        "items": list(items),
    }


def wire_time(moment: datetime | None) -> str | None:
    """UTC, naive ISO with microseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") if moment else None


def source(path: str) -> Json:
    """A dotted path to code, as ZenML writes one."""
    module, _, attribute = path.rpartition(".")
    kind = "builtin" if module == "builtins" else "internal" if module.startswith("zenweb.") else "unknown"
    return {"module": module, "attribute": attribute, "type": kind}


def user_entity(user: User | None, metadata: Json | None = None) -> Json | None:
    if user is None:
        return None
    body = {
        "active": user.is_active,
        "activation_token": None,
        "full_name": user.get_full_name(),
        "email_opted_in": False,
        "is_service_account": user.is_service_account,
        "is_admin": user.is_superuser,
        "default_project_id": None,
        "avatar_url": None,
    }
    return entity(user, name=user.get_username(), body=body, metadata=metadata)


def _id(value: Any) -> str | None:
    return str(value) if value else None
