"""How an address may start: a keyword of ours, for JSON Schema takes every scheme."""

from typing import Any

from django.utils.translation import gettext


class AddressRules:
    """`["http", "https"]`, as jsonschema-rs asks for it: complaints are ValueErrors."""

    def __init__(self, parent: Any, schemes: Any, path: Any) -> None:
        if not isinstance(schemes, list) or not all(isinstance(scheme, str) for scheme in schemes):
            raise ValueError(f"{schemes!r} are no schemes of addresses")
        self.schemes = schemes

    def validate(self, instance: Any) -> None:
        if not isinstance(instance, str):
            return
        scheme, colon, _ = instance.strip().partition(":")
        if colon and scheme.lower() not in self.schemes:  # without a scheme, the format says so
            starts = gettext(" or ").join(f"{scheme}://" for scheme in self.schemes)
            raise ValueError(gettext("This must start with %(starts)s.") % {"starts": starts})
