"""Where a step or pipeline is imported from: its `module.attribute`, the folder that holds its code, and back again."""

import importlib
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from zenweb.config import zenml_alias
from zenweb.config.definition import Definition
from zenweb.config.importing import AsksForSkipped, importing_for_execution, is_importing
from zenweb.config.script_modules import ADVICE, RestIsNeeded, about_missing, watch_scripts
from zenweb.config.suggestions import article, did_you_mean, suggestion
from zenweb.exceptions import AuthoringError, SourceNotFound

__all__ = ["import_source", "importing_for_execution", "is_importing", "source_of", "source_root"]

T = TypeVar("T")
AnyDefinition = Definition[..., Any]


def import_source(source: str, kind: type[T] = object) -> T:  # type: ignore[assignment]
    """The object that `module.attribute` names. `kind`, such as Pipeline, is what it has to be.

    Raises SourceNotFound, which says what is wrong: the module, the attribute, its kind, or the module's own import.
    """
    module_name, _, attribute = source.rpartition(".")
    if any(separator in source for separator in "/\\"):
        raise SourceNotFound(
            f"{source!r} is a path. Write it with dots, as it would be imported: package.run.my_pipeline for "
            "my_pipeline in package/run.py, from the folder that holds the package."
        )
    if not module_name or not all(source.split(".")):
        raise SourceNotFound(
            f"{source!r} does not say what to import: write run.my_pipeline for my_pipeline in the file run.py."
        )
    module = import_named(module_name)
    found = getattr(module, attribute, None)
    if not isinstance(found, kind) or found is None:
        raise SourceNotFound(_not_what_was_asked_for(module, attribute, kind))
    return found


def source_of(definition: AnyDefinition) -> str:
    """The `module.attribute` by which another process finds this step or pipeline."""
    held = importable(definition)
    return f"{importable_name(_module_of(held))}.{_attribute_of(held)}"


def importable(definition: AnyDefinition) -> AnyDefinition:
    """What another process gets for it: itself, or what it was made from."""
    if _attribute_of(definition) is not None:
        return definition
    if definition.origin is None:
        raise AuthoringError(
            f"{definition.label} is not at the top level of its module {definition.__module__}, so no other process "
            "could import it. Define it there, outside of functions and classes."
        )
    return importable(definition.origin)


def source_root(definition: AnyDefinition) -> Path:
    """The folder that has to be on the path for the source to be imported: that of a script, or above a package."""
    module = _module_of(definition)
    file = _file_of(module)
    folder = file.parent.parent if file.stem == "__init__" else file.parent
    root = [folder, *folder.parents][importable_name(module).count(".")]
    if "site-packages" in root.parts:
        raise AuthoringError(
            f"{definition.label} is imported from an installed package, {file}: freeze it from its source folder."
        )
    return root


def importable_name(module: ModuleType) -> str:
    """The module's name for another process; what was started as a script is called by its file, not `__main__`."""
    if module.__name__ != "__main__":
        return module.__name__
    if module.__spec__ is not None:  # python -m package.module
        return module.__spec__.name
    name = _file_of(module).stem
    if "." in name:
        raise AuthoringError(
            f"{_file_of(module).name} cannot be imported under that name: rename it to one without dots."
        )
    return name


def _module_of(definition: AnyDefinition) -> ModuleType:
    return sys.modules[definition.__module__]


def _attribute_of(definition: AnyDefinition) -> str | None:
    module = _module_of(definition)
    if getattr(module, definition.__qualname__, None) is definition:
        return str(definition.__qualname__)
    return next((name for name, value in vars(module).items() if value is definition), None)


def _file_of(module: ModuleType) -> Path:
    file = getattr(module, "__file__", None)
    if file is None:
        raise AuthoringError(
            "A pipeline made in an interactive session has no file to be stored with it. Put it into a .py file."
        )
    return Path(file).resolve()


def import_named(name: str) -> ModuleType:
    """The module, imported unless it is. Raises SourceNotFound."""
    main = sys.modules["__main__"]
    if name not in sys.modules and getattr(main, "__file__", None) and importable_name(main) == name:
        return main  # importing the running script a second time would start it again
    if is_importing():
        watch_scripts()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            raise SourceNotFound(_no_such_module(name)) from error
        raise SourceNotFound(_broken_module(name, error)) from error
    except RestIsNeeded as error:
        raise SourceNotFound(str(error)) from error
    except (Exception, SystemExit, AsksForSkipped) as error:
        raise SourceNotFound(_broken_module(name, error)) from error


def _no_such_module(name: str) -> str:
    top = name.partition(".")[0]
    near = did_you_mean(top, (module.name for module in pkgutil.iter_modules(sys.path[:1])))
    return f"There is no module {name!r} here.{near} Start from the folder that holds {top}.py or the package {top}."


def _broken_module(name: str, error: BaseException) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    file, line = (
        (error.filename, error.lineno) if isinstance(error, SyntaxError) else (place.filename, place.lineno)
    )
    sentence = (
        f"The module {name!r} cannot be imported: {type(error).__name__}: {error} ({file}, line {line})."
    )
    return f"{sentence}{_about_zenml(error)}{_about_scripts(error)}"


def _about_scripts(error: BaseException) -> str:
    """What is not there to be imported would be missed below that condition, too."""
    if isinstance(error, ImportError | SyntaxError):
        return ""
    return f" What its steps do not need belongs {ADVICE}."


def _about_zenml(error: BaseException) -> str:
    if not isinstance(error, ModuleNotFoundError) or error.name != zenml_alias.ZENML:
        return ""
    return (
        " For ZenWeb to stand in for zenml, put `python -m zenweb.compat --` before the command, or `import "
        "zenweb.compat` before the first import of zenml."
    )


def _not_what_was_asked_for(module: ModuleType, attribute: str, kind: type) -> str:
    wanted = "" if kind is object else f" {kind.__name__.lower()}"
    known = [
        name for name, value in vars(module).items() if isinstance(value, kind) and not name.startswith("_")
    ]
    is_something_else = getattr(module, attribute, None) is not None
    if is_something_else:
        found = type(getattr(module, attribute)).__name__.lower()
        return f"{attribute!r} in {module.__name__} is {article(found)} {found}, not a{wanted}.{suggestion('', known)}"
    missing = f"There is no{wanted} {attribute!r} in {module.__name__}.{suggestion(attribute, known)}"
    left_out = about_missing(module.__name__, attribute)
    return f"{missing} {left_out}" if left_out else f"{missing}{_another_module(module)}"


def _another_module(module: ModuleType) -> str:
    """Where a file of the user's has a name that Python gives to another module."""
    top = module.__name__.partition(".")[0]
    if top not in sys.stdlib_module_names or not Path(sys.path[0], f"{top}.py").is_file():
        return ""
    return (
        f" That is Python's own module {top!r}, which was found in place of your {top}.py: rename the file."
    )
