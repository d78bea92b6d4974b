"""Answers as JSON, where nothing is `null` and not an empty body: ZenML's clients parse every answer."""

from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request


class WireJSONRenderer(JSONRenderer):
    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return b"null" if data is None else super().render(data, *args, **kwargs)


class OneKindOfAnswer(DefaultContentNegotiation):
    """Whatever kind of answer a caller would like best, there is one kind."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type
