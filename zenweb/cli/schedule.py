"""`zenweb schedule`: run templates that run by themselves."""

from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from zenweb.cli.names import SCHEDULES, TEMPLATES
from zenweb.cli.output import Output, output_option
from zenweb.cli.values import preset_option
from zenweb.client import Client
from zenweb.config.run_configuration import read_yaml
from zenweb.responses import ScheduleResponse


@click.group("schedule")
def command() -> None:
    """Have run templates run by themselves."""


@command.command("create")
@click.argument("template", shell_complete=TEMPLATES)
@click.option("--name", required=True, help="What the schedule is called.")
@click.option(
    "--cron",
    required=True,
    help='When: minute, hour, day of the month, month, day of the week, such as "30 6 * * MON-FRI".',
)
@click.option(
    "--zone", default="UTC", show_default=True, help="The time zone of that, such as Europe/Berlin."
)
@click.option(
    "--config",
    "config_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The run configuration of its runs in YAML; what it leaves out is as the template says.",
)
@preset_option
def create(
    template: str, name: str, cron: str, zone: str, config_path: Path | None, preset: str | None
) -> None:
    """Run TEMPLATE again and again."""
    configuration = read_yaml(config_path) if config_path else None
    schedule = Client().create_schedule(
        name, template, cron, zone=zone, run_configuration=configuration, preset=preset
    )
    click.echo(f"Schedule {schedule.name} runs {_template(schedule)} next {_next(schedule)}.")


@command.command("list")
@output_option
def list_schedules(output: Output) -> None:
    """List the schedules with their next times and what came of the last one."""
    output.show_page(
        Client().list_schedules(size=1000),
        ("NAME", "TEMPLATE", "CRON", "ZONE", "NEXT", "LAST"),
        lambda schedule: (
            schedule.name,
            _template(schedule),
            schedule.cron,
            schedule.zone,
            "paused" if schedule.is_paused else _next(schedule),
            _last(schedule),
        ),
        empty='There is no schedule yet. Make one: zenweb schedule create TEMPLATE --name NAME --cron "0 6 * * *"',
    )


@command.command("pause")
@click.argument("name", shell_complete=SCHEDULES)
def pause(name: str) -> None:
    """Let the schedule NAME rest."""
    schedule = Client().update_schedule(name, paused=True)
    click.echo(f"Schedule {schedule.name} is paused. Go on with: zenweb schedule resume {name}")


@command.command("resume")
@click.argument("name", shell_complete=SCHEDULES)
def resume(name: str) -> None:
    """Let the schedule NAME go on. What it would have run meanwhile is not made up for."""
    schedule = Client().update_schedule(name, paused=False)
    click.echo(f"Schedule {schedule.name} runs {_template(schedule)} next {_next(schedule)}.")


@command.command("delete")
@click.argument("name", shell_complete=SCHEDULES)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete the schedule NAME. The runs it made stay."""
    client = Client()
    schedule = client.get_schedule(name)
    if not yes:
        click.confirm(f"Delete schedule {schedule.name}?", abort=True)
    client.delete_schedule(schedule.id)
    click.echo(f"Schedule {schedule.name} is deleted.")


def _template(schedule: ScheduleResponse) -> str:
    return schedule.template.name if schedule.template else "(deleted)"


def _next(schedule: ScheduleResponse) -> str:
    return _local(schedule.next_times[0], schedule) if schedule.next_times else "never"


def _last(schedule: ScheduleResponse) -> str:
    if schedule.last_fired is None:
        return ""
    made = f"run {schedule.last_run_status}" if schedule.last_run_status else "run"
    outcome = f"no run: {schedule.last_refusal}" if schedule.is_refused else made
    return f"{_local(schedule.last_fired, schedule)} {outcome}"


def _local(moment: datetime, schedule: ScheduleResponse) -> str:
    """As the clocks of the schedule's zone show it."""
    return moment.astimezone(_zone(schedule.zone)).strftime("%Y-%m-%d %H:%M %Z")


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:  # this machine does not know what the server knows
        return UTC
