"""What may be done with the key that a request is made with. Every verb asks here."""

from django.utils.translation import gettext

from zenweb.accounts.models import User
from zenweb.enums import KeyAccess
from zenweb.exceptions import NotAllowed


def check_may_run(actor: User) -> None:
    """Raises NotAllowed for an account that is switched off, and for a key that may only read."""
    if not actor.is_active:
        raise NotAllowed(gettext("This account is switched off."))
    if actor.access is KeyAccess.READ:
        raise NotAllowed(
            gettext(
                "This API key may only read. Use a key that may run templates, or make one under Account → API keys."
            )
        )


def may_change(actor: User) -> bool:
    return actor.is_active and actor.access is KeyAccess.FULL


def check_may_change(actor: User) -> None:
    """Raises NotAllowed as `check_may_run`, and for a key that may run templates and nothing else."""
    check_may_run(actor)
    if not may_change(actor):
        raise NotAllowed(
            gettext(
                "This API key may run templates, but change nothing. Use a key that may do everything, or make one "
                "under Account → API keys."
            )
        )


def check_is_administrator(actor: User) -> None:
    """Raises NotAllowed for everybody else, and for administrators' keys that may not do everything."""
    check_may_change(actor)
    if not actor.is_superuser:
        raise NotAllowed(gettext("Only an administrator may do this."))
