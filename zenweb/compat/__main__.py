"""`python -m zenweb.compat`: runs what says `zenml` and means ZenWeb, unchanged.

python -m zenweb.compat run.py ARGUMENTS
python -m zenweb.compat -m package.module ARGUMENTS
python -m zenweb.compat -- zenml pipeline list     a command, for which `zenml` is ZenWeb's
python -m zenweb.compat --stubs typings            what mypy and pyright have to know, into a folder
"""

import os
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from zenweb.config import zenml_alias

FOLDER = "zenweb-compat-"
COMMAND = """#!/bin/sh
exec {python} -m zenweb.compat -m zenweb.cli "$@"
"""


def main(arguments: list[str]) -> int:
    """The exit code; a script or module that raises says so itself."""
    if not zenml_alias.is_active():
        click.echo("Nothing was run.", err=True)  # why not has been said by the package
        return 2
    match arguments:
        case ["--stubs", folder]:
            write_stubs(Path(folder))
        case ["--", program, *rest]:
            return run_command([program, *rest])
        case ["-m", module, *rest]:
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [script, *rest] if not script.startswith("-"):
            sys.argv = [script, *rest]
            run_script(script)
        case _:
            click.echo((__doc__ or "").strip(), err=True)
            return 2
    return 0


def run_script(script: str) -> None:
    """As `python SCRIPT` does: its own folder comes first on the path."""
    if not Path(script).is_file():
        raise click.ClickException(f"There is no file {script!r}.")
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")


def run_command(command: list[str]) -> int:
    """Run it with a `zenml` on its PATH that is ZenWeb's, for as long as it runs; `zenweb` is the same then."""
    environment = os.environ  # noqa: TID251  # handed on, not to be configured by it
    found = shutil.which(zenml_alias.ZENML)
    if found is not None and not Path(found).parent.name.startswith(FOLDER):
        raise click.ClickException(f"The real ZenML's command is installed: {found}. Nothing was run.")
    with tempfile.TemporaryDirectory(prefix=FOLDER) as folder:
        for name in (zenml_alias.ZENML, "zenweb"):
            script = Path(folder, name)
            script.write_text(COMMAND.format(python=shlex.quote(sys.executable)))
            script.chmod(0o755)
        path = os.pathsep.join([folder, environment.get("PATH", os.defpath)])
        program = shutil.which(command[0], path=path)
        if program is None:
            raise click.ClickException(f"There is no command {command[0]!r}.")
        return subprocess.call([program, *command[1:]], env={**environment, "PATH": path})


def write_stubs(folder: Path) -> None:
    """Type checkers import nothing: a file for each module says where its names are."""
    for theirs, ours in zenml_alias.MODULES.items():
        is_package = any(other.startswith(f"{theirs}.") for other in zenml_alias.MODULES)
        parts = [*theirs.split("."), "__init__"] if is_package else theirs.split(".")
        file = folder.joinpath(*parts).with_suffix(".pyi")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"from {ours} import *\n")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except click.ClickException as refusal:
        refusal.show()
        sys.exit(2)
