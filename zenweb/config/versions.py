"""What is kept and handed on says which version of its form it has: a newer one than is known here is refused."""

from typing import Any

from pydantic import BeforeValidator

NEWER = (
    "{what} here was made by a newer ZenWeb: it has version {found}, and this one knows {known}. "
    "Update the ZenWeb that reads it, server and SDK alike."
)


def newer(what: str, found: int, known: int) -> str:
    """The sentence for whoever has to update."""
    return NEWER.format(what=what, found=found, known=f"1 to {known}" if known > 1 else "only 1")


def up_to(known: int, what: str) -> BeforeValidator:
    """For a pydantic field `version`: says in words that a version is too new. All else is the field's own matter."""

    def check(found: Any) -> Any:
        if isinstance(found, int) and not isinstance(found, bool) and found > known:
            raise ValueError(newer(what, found, known))
        return found

    return BeforeValidator(check)
