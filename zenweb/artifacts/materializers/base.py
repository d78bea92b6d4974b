"""What a materializer is, and what saving leaves behind."""

from dataclasses import dataclass
from typing import Any, ClassVar

from zenweb.artifacts.json_encoding import Json
from zenweb.artifacts.previews import Preview, PreviewDraft, line
from zenweb.enums import ArtifactType
from zenweb.exceptions import ZenWebError


class ArtifactNotSavable(ZenWebError, TypeError):
    """The value cannot be stored by any materializer."""


class Unsuited(Exception):
    """This materializer cannot keep this value faithfully; the message says why."""


class ArtifactNotLoadable(ZenWebError):
    """The stored value cannot be made into an object here."""


@dataclass(frozen=True)
class SavedArtifact:
    """All that the database keeps of a stored value."""

    materializer: str
    """`module.Class` of the materializer that can load it."""
    data_type: str
    """`module.Class` of the value."""
    type: ArtifactType
    metadata: dict[str, Json]
    preview: Preview | None


class Materializer:
    """Writes values of some types into a folder of the artifact store and reads them back.

    To teach ZenWeb a type, subclass, name the types and write `save` and `load`; subclassing is registering. A class
    registered later wins. `zenweb.artifacts.store` has what writes to and reads from any artifact store.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type | str, ...]] = ()
    """Classes, or their names `module.Class` where importing them would cost too much. Subclasses are included."""
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    _by_type_name: ClassVar[dict[str, "type[Materializer]"]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for associated in cls.__dict__.get("ASSOCIATED_TYPES", ()):
            Materializer._by_type_name[type_name(associated)] = cls

    @classmethod
    def registered_for(cls, associated: type) -> "type[Materializer] | None":
        """The materializer of exactly this class, not of its bases."""
        return Materializer._by_type_name.get(type_name(associated))

    def save(self, value: Any, uri: str) -> None:
        """Write the value into the folder `uri`, which nobody else writes to.

        Raise `Unsuited`, before writing anything, where `load` would not give back an equal value: the next
        materializer is asked then.
        """
        raise NotImplementedError

    def load(self, uri: str) -> Any:
        """The value that was saved into the folder `uri`."""
        raise NotImplementedError

    def metadata(self, value: Any) -> dict[str, Any]:
        """Facts worth a line on a page. `storage_size` is added to them."""
        return {"string_representation": line(value)}

    def preview(self, value: Any) -> PreviewDraft | None:
        """What a page shows; called after `save` on the same instance. Keep it small and quick."""
        return None


def type_name(cls: type | str) -> str:
    return cls if isinstance(cls, str) else f"{cls.__module__}.{cls.__qualname__}"
