"""A thing of the server that asks for what a short answer left out when it is read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from zenweb.thing import Thing

if TYPE_CHECKING:
    from zenweb.transport import Transport


class Entity(Thing):
    """A thing of the server, as of the last answer. Things of one kind with one id are equal."""

    def __init__(self, transport: "Transport", envelope: Mapping[str, Any]) -> None:
        super().__init__(envelope)
        self._transport = transport

    def refresh(self) -> Self:
        """Ask again: what is read from now on is as of this moment."""
        self._envelope = self._transport.get(f"{self.path}/{self.id}", hydrate=True)
        return self

    def _complete(self, name: str) -> None:
        self.refresh()
