"""The command line's entry. A command's module is loaded when it is called, so that `zenweb` starts at once."""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import click

from zenweb.cli import completion  # noqa: F401  # how a shell asks is told to click before it is asked
from zenweb.cli.display import wants_color
from zenweb.cli.exit_codes import ExitCode
from zenweb.exceptions import MalformedRequest, ServerUnreachable, ValidationFailed, ZenWebError

# name -> where the command is, and its line in `zenweb --help` (which therefore loads none of them)
COMMANDS = {
    "up": ("zenweb.cli.up", "Start everything on this machine: broker, web server, worker."),
    "server": ("zenweb.cli.server", "Start the web server."),
    "worker": ("zenweb.cli.worker", "Start a worker."),
    "manage": ("zenweb.cli.manage", "Prepare the database, set a password, and what else Django can do."),
    "login": ("zenweb.cli.login", "Connect this user to a server."),
    "stack": ("zenweb.cli.stack", "See and choose where pipelines run."),
    "pipeline": ("zenweb.cli.pipeline", "List pipelines and make run templates of them."),
    "run-template": ("zenweb.cli.run_template", "List run templates and run them."),
    "schedule": ("zenweb.cli.schedule", "Have run templates run by themselves."),
    "run": ("zenweb.cli.run", "See, follow, stop and repair what was run."),
    "artifact": ("zenweb.cli.artifact", "See and download what runs have made."),
    "completion": ("zenweb.cli.completion", "Have the shell complete commands and names."),
}


NEED_THE_SERVER = {"up", "server", "worker", "manage"}
PARTS_OF_THE_SERVER = ("celery", "django", "granian", "psutil")


class ServerNotInstalled(ZenWebError):
    """Only the SDK is installed here. Install the server with it: pip install 'zenweb[server]'"""


class Refusal(click.ClickException):
    """A ZenWebError as its reader sees it: one sentence, then one line per field; no traceback."""

    def __init__(self, error: ZenWebError) -> None:
        super().__init__("\n".join(_lines(error)))
        self.exit_code = _exit_code(error)  # type: ignore[misc]  # where it is shown, it is read of the error

    def show(self, file: Any = None) -> None:
        click.secho(self.message, fg="red", err=True, file=file, color=self.show_color)


def _exit_code(error: ZenWebError) -> ExitCode:
    match error:
        case ServerUnreachable():  # worth another try later
            return ExitCode.UNREACHABLE
        case ValidationFailed() | MalformedRequest():
            return ExitCode.USAGE
    return ExitCode.FAILED


def _lines(error: ZenWebError) -> list[str]:
    if not isinstance(error, ValidationFailed) or not any(field.pointer for field in error.errors):
        return [str(error) or (error.__doc__ or "").strip()]
    return ["The input was refused:", *(f"  {field}" for field in error.errors)]


def _leave_out_httpx_command() -> None:
    """httpx brings a command line of its own, and loads rich and pygments for it: a quarter of our start."""
    module = ModuleType("httpx._main")
    module.main = lambda: None  # type: ignore[attr-defined]
    sys.modules.setdefault("httpx._main", module)


class LazyCommands(click.Group):
    """The top-level group: knows its commands by name, loads the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name in NEED_THE_SERVER and not all(map(importlib.util.find_spec, PARTS_OF_THE_SERVER)):
            if ctx.resilient_parsing:  # a shell asks what may be typed: this may not
                return None
            raise ServerNotInstalled
        _leave_out_httpx_command()
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ZenWebError as error:
            raise Refusal(error) from error
        except (KeyboardInterrupt, click.Abort) as left:
            # Click says "Aborted!" then and ends with 1, as if something had failed.
            if isinstance(left, click.Abort) and not isinstance(left.__context__, KeyboardInterrupt):
                raise
            raise click.exceptions.Exit(ExitCode.LEFT) from left


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="zenweb", prog_name="zenweb")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Freeze pipelines as run templates and run them."""
    ctx.color = wants_color()
    from zenweb import connection  # noqa: PLC0415  only where a command is called, so that help comes at once

    connection.channel = "cli"
