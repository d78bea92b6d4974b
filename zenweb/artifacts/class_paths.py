"""Names of classes, and classes by their name."""

import importlib
import sys
from pathlib import Path


def class_path(cls: type) -> str:
    """`module.Class`; a class of the script that was started bears the name it has when that script is imported."""
    module = cls.__module__
    return f"{_name_of_main() if module == '__main__' else module}.{cls.__qualname__}"


def find_class(path: str) -> type:
    """The class of that name, importing its module. Raises ImportError where there is none."""
    module, _, name = path.rpartition(".")
    while module:
        try:
            found: object = _import(module)
        except ModuleNotFoundError as error:
            # `package.Outer.Inner`: the module's name is shorter than it looks.
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            module, _, outer = module.rpartition(".")
            name = f"{outer}.{name}"
            continue
        for part in name.split("."):
            found = getattr(found, part, None)
        if isinstance(found, type):
            return found
        break
    raise ImportError(f"There is no class '{path}' here: is the pipeline's code on the path?")


def is_importable(cls: type) -> bool:
    """Whether another process can find the class by its name (one made inside a function cannot be)."""
    try:
        return find_class(class_path(cls)) is cls
    except ImportError:
        return False


def _import(module: str) -> object:
    # Importing the started script again would make a second class of the same name, unequal to the first.
    is_started_script = module not in sys.modules and module == _name_of_main()
    return sys.modules["__main__"] if is_started_script else importlib.import_module(module)


def _name_of_main() -> str:
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    return Path(getattr(main, "__file__", None) or "__main__").stem
