"""Which materializer a value gets, by the names of its classes: no library is imported that the value is not of."""

import importlib
import logging
import sys
from collections.abc import Iterator
from typing import Any, cast

from zenweb.artifacts.class_paths import find_class
from zenweb.artifacts.materializers.base import ArtifactNotLoadable, Materializer, Unsuited

logger = logging.getLogger(__name__)

# The materializers of these packages' types register themselves when the module is imported.
_MODULES_BY_PACKAGE = {
    "matplotlib": "zenweb.artifacts.materializers.matplotlib_figures",
    "numpy": "zenweb.artifacts.materializers.numpy_arrays",
    "pandas": "zenweb.artifacts.materializers.pandas_tables",
    "PIL": "zenweb.artifacts.materializers.pil_images",
    "plotly": "zenweb.artifacts.materializers.plotly_figures",
    "sklearn": "zenweb.artifacts.materializers.models",
}
# By name, because they use this module themselves.
_JSON = "zenweb.artifacts.materializers.json_values.JsonMaterializer"
_PICKLE = "zenweb.artifacts.materializers.pickles.PickleMaterializer"


def write(value: object, uri: str) -> Materializer:
    """Save the value by the first materializer that can keep it, and say which that was."""
    for materializer_class in candidates(type(value)):
        materializer = materializer_class()
        try:
            materializer.save(value, uri)
        except Unsuited as reason:
            logger.debug("%s does not suit: %s", materializer_class.__name__, reason)
        else:
            return materializer
    raise AssertionError("The last materializer takes everything or raises.")


def read(uri: str, materializer: str) -> Any:
    """The value in the folder `uri`, by the materializer that saved it."""
    try:
        materializer_class = find_class(materializer)
        if not issubclass(materializer_class, Materializer):
            raise ArtifactNotLoadable(
                f"The artifact at {uri} names '{materializer}', which is no materializer."
            )
        return materializer_class().load(uri)
    except ImportError as error:
        raise ArtifactNotLoadable(f"The artifact at {uri} cannot be loaded here: {error}") from error


def preload() -> None:
    """Import now what values of the packages imported so far will need.

    For a process that forks others: pyarrow alone costs every child a tenth of a second.
    """
    for package in _MODULES_BY_PACKAGE.keys() & sys.modules.keys():
        _import_materializers_for(package)


def candidates(value_type: type) -> Iterator[type[Materializer]]:
    """Materializers to try, best first: of the class itself, of its bases, JSON, cloudpickle."""
    for base in value_type.__mro__:
        _import_materializers_for(base.__module__.partition(".")[0])
        registered = Materializer.registered_for(base)
        if registered is not None:
            yield registered
    yield _materializer(_JSON)
    yield _materializer(_PICKLE)


def has_own_materializer(value: object) -> bool:
    """Whether something better than JSON and cloudpickle keeps it."""
    return next(candidates(type(value))) is not _materializer(_JSON)


def _import_materializers_for(package: str) -> None:
    module = _MODULES_BY_PACKAGE.get(package)
    if module is None:
        return
    try:
        importlib.import_module(module)
    except ImportError as error:
        logger.warning(
            "Values of %s are stored with cloudpickle, because a package is missing: %s", package, error
        )


def _materializer(path: str) -> type[Materializer]:
    return cast(type[Materializer], find_class(path))
