"""A thing of the server: an attribute cannot ask, so what a short answer left out has to be asked for before."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from zenweb.exceptions import NotAskedFor
from zenweb.thing import Thing

if TYPE_CHECKING:
    from zenweb.aio.transport import AsyncTransport


class Entity(Thing):
    """As of `zenweb.responses`."""

    def __init__(self, transport: "AsyncTransport", envelope: Mapping[str, Any]) -> None:
        super().__init__(envelope)
        self._transport = transport

    async def refresh(self) -> Self:
        """Ask again: what is read from now on is as of this moment."""
        self._envelope = await self._transport.get(f"{self.path}/{self.id}", hydrate=True)
        return self

    def _complete(self, name: str) -> None:
        raise NotAskedFor(
            f"{self!r} came without its {name}, as things in lists do: `await it.refresh()` first, or list with "
            "hydrate=True."
        )
