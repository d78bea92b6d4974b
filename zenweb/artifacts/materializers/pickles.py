"""Values of types that nobody taught ZenWeb: cloudpickle."""

import logging
import pickle
import platform
from typing import Any

import cloudpickle

from zenweb.artifacts import store
from zenweb.artifacts.class_paths import class_path
from zenweb.artifacts.materializers.base import ArtifactNotLoadable, ArtifactNotSavable, Materializer

logger = logging.getLogger(__name__)

_FILE = "data.pkl"


def write_pickle(value: object, uri: str) -> None:
    try:
        data = cloudpickle.dumps(value)
    except Exception as error:  # a class's own pickling code may raise anything
        raise ArtifactNotSavable(
            f"A value of type '{class_path(type(value))}' cannot be stored ({error}). Return plain values, a file's "
            "pathlib.Path or a table instead, or write a materializer for the type."
        ) from error
    store.write_bytes(store.join(uri, _FILE), data)


def read_pickle(uri: str) -> Any:
    # Unpickling runs code: this is called in step processes and on the user's machine, never in a server.
    try:
        return pickle.loads(store.read_bytes(store.join(uri, _FILE)))  # noqa: S301  # in a step's process or its user's
    except (ImportError, AttributeError, pickle.UnpicklingError) as error:
        raise ArtifactNotLoadable(
            f"The artifact at {uri} cannot be loaded under Python {platform.python_version()} with the packages and "
            f"the code that are here: {error}"
        ) from error


class PickleMaterializer(Materializer):
    """The last resort: loads only where Python and all packages are as they were."""

    def save(self, value: Any, uri: str) -> None:
        logger.warning(
            "No materializer knows the type '%s': it is stored with cloudpickle and may not load under another "
            "version of Python or of its package.",
            class_path(type(value)),
        )
        write_pickle(value, uri)

    def load(self, uri: str) -> Any:
        return read_pickle(uri)

    def metadata(self, value: Any) -> dict[str, Any]:
        return super().metadata(value) | {"python_version": platform.python_version()}
