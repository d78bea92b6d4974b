"""Places in a JSON document, as errors name them."""

from collections.abc import Sequence


def pointer_to(path: Sequence[str | int]) -> str:
    """A path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
