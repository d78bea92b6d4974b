"""ZenML's module names for ZenWeb's modules: what `zenweb.compat` switches on, here and in the steps' processes.

There is one module under both names: `zenml.client` *is* `zenweb.client`, so that classes are the same and nothing is
loaded twice. What is not named here does not exist under the alias; the server's own modules are in this package, too.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

from zenweb.config.suggestions import did_you_mean
from zenweb.exceptions import RealZenMLInstalled

ZENML: Final = "zenml"
MODULES: Final = {
    "zenml": "zenweb",
    "zenml.artifacts": "zenweb.artifacts",
    "zenml.artifacts.artifact_config": "zenweb.artifacts.artifact_config",
    "zenml.artifacts.unmaterialized_artifact": "zenweb.artifacts.unmaterialized_artifact",
    "zenml.artifacts.utils": "zenweb.artifacts.utils",
    "zenml.client": "zenweb.client",
    "zenml.config": "zenweb.config",
    "zenml.config.docker_settings": "zenweb.config.zenml_settings",
    "zenml.config.pipeline_run_configuration": "zenweb.config.pipeline_run_configuration",
    "zenml.config.resource_settings": "zenweb.config.zenml_settings",
    "zenml.enums": "zenweb.enums",
    "zenml.exceptions": "zenweb.exceptions",
    "zenml.logger": "zenweb.compat.logger",
    "zenml.pipelines": "zenweb.pipelines",
    "zenml.steps": "zenweb.steps",
    "zenml.types": "zenweb.artifacts.strings",
}


def is_active() -> bool:
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


def activate() -> None:
    """From here on `import zenml` gets ZenWeb. Raises RealZenMLInstalled where it would hide the real one."""
    if is_active():
        return
    if _real_zenml_is_installed():
        raise RealZenMLInstalled
    # In front: the usual finder would load `zenml.client` from this package's folder, as a second module.
    sys.meta_path.insert(0, _Finder())


def _real_zenml_is_installed() -> bool:
    spec = importlib.util.find_spec(ZENML)
    return spec is not None and spec.origin is not None  # a mere folder of that name has none


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != ZENML:
            return None
        if fullname in MODULES:
            return ModuleSpec(fullname, _Loader(MODULES[fullname]))
        if _is_only_looked_for() and PathFinder.find_spec(fullname, path) is None:
            return None
        raise ModuleNotFoundError(_no_such_module(fullname), name=fullname)


class _Loader(Loader):
    """Loads the module under its own name and hands it out under the other."""

    def __init__(self, own_name: str) -> None:
        self.own_name = own_name
        self.own_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.own_name)
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own_spec  # Python has put the alias's in its place


def _is_only_looked_for() -> bool:
    """Whether `importlib.util.find_spec` asks, as code does that wants to know whether it may import something.

    None is its answer then. To an import it would be one without our sentence; and where the server's own modules are
    in the way (`zenml.cli`), None would have Python go on looking, and find those.
    """
    asking = sys._getframe(3)  # this function, the finder, what asks all finders, whoever wants to know
    return asking.f_globals.get("__name__") == importlib.util.__name__


def _no_such_module(name: str) -> str:
    return (
        f"ZenWeb has no module {name!r}: `zenweb.compat` stands in for what pipelines need of ZenML, and this is not "
        f"among it.{did_you_mean(name, MODULES)}"
    )
