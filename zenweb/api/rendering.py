"""Answers as JSON, where nothing is `null` and not an empty body: ZenML's clients parse every answer."""

from typing import Any

from rest_framework.renderers import JSONRenderer


class WireJSONRenderer(JSONRenderer):
    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return b"null" if data is None else super().render(data, *args, **kwargs)
