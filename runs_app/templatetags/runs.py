"""How runs are put into words and signs: status, duration, moment, previews."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.template.defaultfilters import date as format_date
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext, ngettext

from runs_app.copies import Secret
from runs_app.models import ArtifactVersion, Execution, PipelineRun, StepAttempt, StepOutput
from runs_app.plans import rules_of_run
from runs_app.preflight import Expected, Preflight
from runs_app.previews import show_preview
from runs_app.repair import RepairPlan
from runs_app.wording import CHANNELS, STATUSES, duration_words
from templates_app.schema_forms.schemas import read_steps
from templates_app.schema_forms.shown import Facts, Table
from templates_app.schema_forms.wording import STATED_PLACE, in_words
from templates_app.templatetags.zenweb_icons import icon
from templates_app.templatetags.zenweb_text import origin
from zenweb.accounts.models import User
from zenweb.config.file_references import FoundFile
from zenweb.enums import ExecutionStatus, TriggerChannel

register = template.Library()

STATUS_ICONS = {
    ExecutionStatus.INITIALIZING: "hourglass-split",
    ExecutionStatus.RUNNING: "arrow-repeat",
    ExecutionStatus.COMPLETED: "check-circle",
    ExecutionStatus.FAILED: "x-circle",
    ExecutionStatus.CACHED: "lightning-charge",
    ExecutionStatus.RETRYING: "arrow-repeat",
    ExecutionStatus.RETRIED: "arrow-repeat",
    ExecutionStatus.STOPPING: "hourglass-split",
    ExecutionStatus.STOPPED: "stop-circle",
}
MOVING = {ExecutionStatus.RUNNING, ExecutionStatus.RETRYING}


@register.simple_tag
def status_chip(execution: Execution | StepAttempt) -> SafeString:
    """The status of a run, step or attempt as a word with its sign."""
    status = ExecutionStatus(execution.status)
    word = STATUSES[status]
    if status is ExecutionStatus.STOPPED and execution.start_time is None:
        word = gettext("Skipped") if getattr(execution, "is_skipped", False) else gettext("Not started")
    return format_html(
        '<span class="chip is-{}">{}{}</span>',
        status.value,
        icon(STATUS_ICONS[status], "spin" if status in MOVING else ""),
        word,
    )


@register.filter
def duration(value: timedelta | None) -> str:
    return "" if value is None else duration_words(value)


@register.filter
def seconds(value: float | None) -> str:
    return "–" if value is None else duration_words(timedelta(seconds=value))


@register.filter
def percent(share: float | None) -> str:
    return "–" if share is None else gettext("%(number)s %%") % {"number": round(share * 100)}


@register.filter
def status_word(status: str) -> str:
    return str(STATUSES[ExecutionStatus(status)])


@register.filter
def channel_word(channel: str) -> str:
    return str(CHANNELS[TriggerChannel(channel)])


@register.filter
def for_people(text: str, run: PipelineRun) -> str:
    """A reason or warning of a run, which programs read with JSON pointers, with the words of its form."""
    if not STATED_PLACE.search(text):
        return text
    schema = rules_of_run(run).config_schema
    if (steps := getattr(run, "steps_in_words", None)) is None:  # once for all the lines of a page
        steps = vars(run)["steps_in_words"] = read_steps(schema)
    return in_words(text, steps, schema.get("properties", {}))


@register.filter
def outlook(ahead: Preflight) -> str:
    """How long a run may take, as far as that is known."""
    expected = ahead.expected
    if not ahead.running:
        return gettext("It takes a moment.")
    if expected is None:
        return gettext("How long it takes is not known yet: it has not completed before.")
    words = _time_taken(expected)
    if not expected.unknown:
        return f"{words}."
    unknown = ", ".join(humanised(name) for name in expected.unknown)
    return gettext("%(time)s, without %(steps)s, which has not completed before.") % {
        "time": words,
        "steps": unknown,
    }


def _time_taken(expected: Expected) -> str:
    words = gettext("Less than a second")
    if expected.seconds >= 1:
        words = gettext("About %(time)s") % {"time": _seconds(expected.seconds)}
    low, high = _seconds(expected.low), _seconds(expected.high)
    if expected.runs == 1 or low == high:
        return words
    spread = ngettext(
        "%(time)s, %(low)s to %(high)s in its last run",
        "%(time)s, %(low)s to %(high)s in its last %(number)s runs",
        expected.runs,
    )
    return spread % {"time": words, "low": low, "high": high, "number": expected.runs}


def _seconds(seconds: float) -> str:
    """As fine as a forecast is."""
    if seconds < 0.5:
        return gettext("%(seconds)s s") % {"seconds": 0}
    return duration_words(timedelta(seconds=max(round(seconds), 1)))


@register.filter
def moment(value: datetime | None) -> SafeString:
    """How long ago, with the exact time for those who point at it."""
    if value is None:
        return SafeString("")
    local = timezone.localtime(value)
    is_recent = timezone.now() - value < timedelta(minutes=1)
    words = (
        gettext("just now") if is_recent else gettext("%(time)s ago") % {"time": timesince(value, depth=1)}
    )
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), _exact(local), words)


def _exact(local: datetime) -> str:
    return f"{format_date(local, 'j F Y, H:i:s')} {local.tzname()}"


@register.filter
def coming(value: datetime) -> SafeString:
    """How soon, with the exact time for those who point at it."""
    is_soon = value - timezone.now() < timedelta(minutes=1)
    words = gettext("in less than a minute")
    if not is_soon:
        words = gettext("in %(time)s") % {"time": timeuntil(value, depth=1)}
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), _exact(value), words)


@register.filter
def day(value: datetime) -> str:
    """The day and the minute, as the clocks of the value's own zone show them."""
    return format_date(value, "l j F, H:i")


@register.filter
def clock(value: datetime) -> SafeString:
    """The time of day to the second."""
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        local.isoformat(),
        format_date(local, "j F Y, H:i:s"),
        format_date(local, "H:i:s"),
    )


@register.filter
def run_title(run: PipelineRun) -> str:
    """What stands above the page of a run."""
    name = run.template.name if run.template else run.pipeline.name
    return gettext("%(name)s, run %(number)s") % {"name": name, "number": run.index}


@register.filter
def account_name(user: User | None) -> str:
    return user.get_username() if user else gettext("a deleted account")


@register.filter
def started_by(run: PipelineRun) -> str:
    """Who asked for a run, and through which door."""
    channel = CHANNELS[TriggerChannel(run.channel)]
    return gettext("%(name)s through %(channel)s") % {"name": account_name(run.user), "channel": channel}


@register.filter
def plan_words(plan: RepairPlan) -> str:
    """How much of a run a repair runs again, and how much it keeps."""
    again, kept, steps = len(plan.again), len(plan.kept), len(plan.steps)
    words = gettext("1 of 1 step runs again")
    if steps > 1:
        counted = ngettext(
            "%(number)s of %(steps)s steps runs again", "%(number)s of %(steps)s steps run again", again
        )
        words = counted % {"number": again, "steps": steps}
    if not kept:
        return f"{words}."
    left = ngettext(
        "%(again)s, %(number)s keeps what it made.", "%(again)s, %(number)s keep what they made.", kept
    )
    return left % {"again": words, "number": kept}


@register.filter
def variables(secrets: Iterable[Secret]) -> SafeString:
    """The environment variables that stand for secrets."""
    return format_html_join(", ", "<code>{}</code>", ((secret.variable,) for secret in secrets))


@register.filter
def output_title(output: StepOutput) -> str:
    """The output's own name, or its step's where it has none."""
    return humanised(output.step.name if output.name == "output" else output.name)


@register.filter
def preview(version: ArtifactVersion) -> Any:
    return show_preview(version)


@register.filter
def figure(value: Any) -> str:
    """A value of a metric or cell: numbers to six digits, the rest as it is."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, float):
        return f"{value:.6g}".replace("nan", "NaN").replace("inf", "Infinity")
    return str(value)


@register.filter
def setting(value: Any, title: str = "") -> str:
    """A parameter's value, short and in words where there are some; a file as a link to it.

    `title`: what a table is called, for who does not see where it stands; no two on a page have the same.
    """
    if isinstance(value, FoundFile):
        return _file(value)
    if isinstance(value, Facts):
        return _facts(value, title)
    if isinstance(value, Table):
        return _table(value, title)
    if isinstance(value, list) and any(isinstance(entry, Facts | Table) for entry in value):
        return format_html(
            "<ol>{}</ol>", format_html_join("", "<li>{}</li>", ((setting(entry),) for entry in value))
        )
    if isinstance(value, list) and any(isinstance(entry, FoundFile) for entry in value):
        return format_html_join(", ", "{}", ((setting(entry),) for entry in value))
    if value is None or isinstance(value, bool):
        return gettext("not set") if value is None else figure(value)
    if value in ("", [], {}):
        return gettext("empty") if value == "" else gettext("none")
    if isinstance(value, list) and all(isinstance(entry, str | int | float) for entry in value):
        return ", ".join(str(entry) for entry in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_label)


def _facts(facts: Facts, title: str) -> SafeString:
    pairs = ((name, setting(value, title and f"{title} → {name}")) for name, value in facts.pairs)
    return format_html(
        '<dl class="facts is-nested">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", pairs)
    )


def _table(table: Table, title: str) -> SafeString:
    head = format_html_join("", '<th scope="col">{}</th>', ((title,) for title in table.columns))
    cells = ([("" if cell is None else setting(cell),) for cell in row] for row in table.rows)
    rows = format_html_join("", "<tr>{}</tr>", ((format_html_join("", "<td>{}</td>", row),) for row in cells))
    more = (
        format_html('<p class="soft">{}</p>', gettext("and %(number)s more") % {"number": table.more})
        if table.more
        else ""
    )
    name = (
        format_html(' role="region" aria-label="{}"', gettext("Entries of %(title)s") % {"title": title})
        if title
        else ""
    )
    return format_html(
        '<div class="preview-table" tabindex="0"{}>'
        '<table class="table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>{}',
        name,
        head,
        rows,
        more,
    )


def _file(found: FoundFile) -> SafeString:
    """Its name and size, and where it is from; a link where it can be had as a file."""
    from_where = "" if found.is_upload else origin(found)
    about = ", ".join(filter(None, [found.size_words.replace(" ", "\N{NO-BREAK SPACE}"), from_where]))
    name: Any = found.name
    if found.is_file:
        address = reverse("artifact-file", args=[found.id])
        name = format_html('<a href="{}" download>{}{}</a>', address, icon("download"), found.name)
    return format_html('{} <span class="soft">{}</span>', name, about) if about else name


def _label(value: object) -> str:
    return value.label if isinstance(value, FoundFile) else str(value)


@register.filter
def humanised(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
