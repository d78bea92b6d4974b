"""A command that takes, beside its own options, a flag for each parameter of the run template it is given."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path as File
from typing import Any

import click
from click.shell_completion import CompletionItem

from zenweb.cli.asking import ask_hidden
from zenweb.cli.bundled_template import BundledTemplate
from zenweb.cli.names import SECONDS, within
from zenweb.cli.template_flags import (
    Flag,
    Path,
    configuration_with,
    defaults_of,
    flags_of,
    label_of,
    named_by_flags,
    spellings,
    spelt_out,
)
from zenweb.cli.value_types import Kind, ValueType
from zenweb.cli.values import GivenValues
from zenweb.client import Client
from zenweb.config.defaults import Source
from zenweb.config.json_schema import DYNAMIC_DEFAULT, MOMENT_RULES
from zenweb.config.suggestions import closest
from zenweb.exceptions import ValidationFailed
from zenweb.responses import RunTemplateResponse

HELP = ("-h", "--help")
SWITCHES = {"true": "", "false": "no-"}
NOTHING = "null"
LONGEST_DEFAULT = 60  # characters of one in help
META = "zenweb.template"
NAME = "zenweb.template_name"
LOCAL = "--local"


class TypedValue(click.ParamType):  # type: ignore[type-arg]  # older clicks cannot have it subscripted
    """Takes any text: what it means is found with all others, and the server judges it."""

    def __init__(self, value: ValueType) -> None:
        self.value = value
        self.name = value.metavar

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return self.value.metavar

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        value = self.value.entry if self.value.kind is Kind.LIST else self.value
        if value.kind is Kind.FILE:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(text) for _, text in value.choices if text.startswith(incomplete)]


class TemplateFlags:
    """The flags of one template, and what was typed for them."""

    def __init__(
        self,
        template: RunTemplateResponse | BundledTemplate,
        own: Iterable[str],
        config_schema: Mapping[str, Any] | None = None,
        note: str = "",
    ) -> None:
        """`config_schema`: what is asked for with other parameters of the pipeline; `note`: why that is not known."""
        self.template, self.note = template, note
        self.flags = flags_of(template.config_schema if config_schema is None else config_schema, set(own))
        self.typed: dict[int, Any] = {}
        self.options = [self._option(place, flag) for place, flag in enumerate(self.flags) if flag.is_typed]
        self.options += [
            self._nothing(place, flag) for place, flag in enumerate(self.flags) if _may_be_nothing(flag)
        ]

    def configuration(
        self, start: Mapping[str, Any], starts: Callable[[], Mapping[Path, Any]]
    ) -> dict[str, Any]:
        """The `start` with what was typed in it. `starts`: of values whose parts were typed alone, the rest."""
        given = [
            (self.flags[place], self._value(self.flags[place], typed)) for place, typed in self.typed.items()
        ]
        has_parts = any(not flag.is_whole for flag, _ in given)
        return configuration_with(
            start, given, {**defaults_of(self.flags), **(starts() if has_parts else {})}
        )

    def own_parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of the pipeline itself among what was typed, which stands by the names of options."""
        typed = [
            (flag, self._value(flag, values[name]))
            for place, flag in enumerate(self.flags)
            if flag.path[0] == "parameters" and values.get(name := f"flag_{place}") is not None
        ]
        return dict(configuration_with({}, typed, defaults_of(self.flags)).get("parameters", {}))

    def spelt_out(self, setting: str) -> str:
        return spelt_out(self.flags, setting)

    def understood(self, arguments: Sequence[str], ctx: click.Context) -> list[str]:
        """With `--shuffle=false` as `--no-shuffle`. Raises UsageError for what such a flag cannot be."""
        switches = {name: flag for flag in self.flags if flag.type.kind is Kind.SWITCH for name in flag.names}
        for name, word in pairwise(arguments):
            if name in switches and not word.startswith("-"):
                raise click.UsageError(
                    f"{name} takes no word after it: {_forms_of(name, switches[name])}.", ctx
                )
        return [self._understood(argument, switches, ctx) for argument in arguments]

    def _understood(self, argument: str, switches: Mapping[str, Flag], ctx: click.Context) -> str:
        name, equals, word = argument.partition("=")
        if not equals:
            return argument
        if name in switches:
            if word == NOTHING and _may_be_nothing(switches[name]):
                return _nothing_of(name)
            if word not in SWITCHES:
                raise click.UsageError(
                    f"{name} is yes or no, and not {word!r}: {_forms_of(name, switches[name])}.", ctx
                )
            return f"--{SWITCHES[word]}{name[2:]}"
        if any(flag.type.kind is Kind.SECRET and name in flag.names for flag in self.flags):
            raise click.UsageError(
                f"{name} takes no value, which others could see: it is asked for, or comes from the environment with "
                f"{_from_environment(name)}.",
                ctx,
            )
        return argument

    def _option(self, place: int, flag: Flag) -> click.Option:
        kind = flag.type.kind
        options: dict[str, Any] = {"type": TypedValue(flag.type)}
        if kind is Kind.SWITCH or kind is Kind.SECRET:
            options = {"is_flag": True}
        elif flag.is_repeatable:
            options["multiple"] = True
        return click.Option(
            [f"flag_{place}", *("/".join(spellings(name, flag)) for name in flag.names)],
            default=None,
            expose_value=False,
            hidden=not flag.is_shown,
            callback=lambda _ctx, _option, typed: self._note(place, typed),
            **options,
        )

    def _nothing(self, place: int, flag: Flag) -> click.Option:
        """What `--shuffle=null` is understood as: of a switch, click knows two positions."""
        return click.Option(
            [f"nothing_{place}", *map(_nothing_of, flag.names)],
            is_flag=True,
            expose_value=False,
            hidden=True,
            callback=lambda _ctx, _option, typed: self._note(place, NOTHING if typed else None),
        )

    def _note(self, place: int, typed: Any) -> None:
        if typed is not None and typed != ():
            self.typed[place] = typed

    def _value(self, flag: Flag, typed: Any) -> Any:
        match flag.type.kind:
            case Kind.SWITCH:
                return None if typed == NOTHING else bool(typed)
            case Kind.SECRET:
                return _asked(flag)
            case Kind.LIST:
                return flag.type.list_of(typed)
            case Kind.NAMES:
                try:
                    return flag.type.names_of(typed)
                except ValueError as error:
                    raise click.BadParameter(f"{error}.", param_hint=flag.name) from error
        return flag.type.value_of(typed)


class TemplateContext(click.Context):
    """Of a command line that names a template, which its usage and its hints then name, too."""

    @property
    def command_path(self) -> str:
        return " ".join(filter(None, [super().command_path, self.meta.get(NAME)]))


class TemplateCommand(click.Command):
    """Asks for the template's flags only where some are typed, or shown."""

    context_class = TemplateContext

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        name = ctx.meta[NAME] = self._template_in(ctx, args)
        if name is not None and (ctx.resilient_parsing or self._has_flags(ctx, args)):
            if ctx.resilient_parsing:
                ctx.meta[META] = within(SECONDS, lambda: self._read(ctx, name, LOCAL in args), None)
            else:
                ctx.meta[META] = self._read(ctx, name, LOCAL in args)
        found = flags_in(ctx)
        if found and not ctx.resilient_parsing and set(HELP) & set(args):
            found = ctx.meta[META] = self._wider(ctx, found, args) or found
        try:
            return self._parse(ctx, args)
        except click.NoSuchOption as error:
            wider = self._wider(ctx, found, args) if found else None
            if wider is None:
                raise self._unknown(error, found, ctx) from error
        ctx.meta[META] = wider
        try:
            return self._parse(ctx, args)
        except click.NoSuchOption as error:
            raise self._unknown(error, wider, ctx) from error

    def _parse(self, ctx: click.Context, args: list[str]) -> list[str]:
        found = flags_in(ctx)
        return super().parse_args(ctx, found.understood(args, ctx) if found else args)

    def _wider(self, ctx: click.Context, found: TemplateFlags, args: list[str]) -> TemplateFlags | None:
        """The flags that there are with the pipeline's own parameters as they are typed; None where none are."""
        if isinstance(found.template, BundledTemplate):
            return None
        is_strict, ctx.ignore_unknown_options = ctx.ignore_unknown_options, True
        try:
            values, _, _ = self.make_parser(ctx).parse_args(found.understood(args, ctx))
        finally:
            ctx.ignore_unknown_options = is_strict
        file, settings = values.get("config_path"), values.get("settings") or ()
        given = GivenValues(File(file) if file else None, settings).spelt_out(found.spelt_out).read()
        own = {**(given.get("parameters") or {}), **found.own_parameters(values)}
        preset = values.get("preset")
        if not own and preset is None:
            return None
        return TemplateFlags(found.template, self._own(ctx), *_asked_with(found.template, own, preset))

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        found = flags_in(ctx)
        return [*super().get_params(ctx), *(found.options if found else ())]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Of each flag the usual name; what is typed already only where it may be typed again."""
        found = flags_in(ctx)
        if found is None or not incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        own = [
            item for item in super().shell_complete(ctx, incomplete) if item.value in {*self._own(ctx), *HELP}
        ]
        names = {
            name: words_of(flag)
            for place, flag in enumerate(found.flags)
            if flag.is_shown and flag.is_typed and (place not in found.typed or flag.is_repeatable)
            for name in spellings(flag.name, flag)
        }
        return [
            *(
                CompletionItem(name, help=help_)
                for name, help_ in names.items()
                if name.startswith(incomplete)
            ),
            *own,
        ]

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        own = super().collect_usage_pieces(ctx)
        found = flags_in(ctx)
        has_own = found is not None and any(flag.path[0] == "parameters" for flag in found.flags)
        flags = ["[--PARAMETER VALUE]..."] if has_own else []
        return [*(own[:-1] if ctx.meta.get(NAME) else own), *flags, "[--STEP.PARAMETER VALUE]..."]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = flags_in(ctx)
        shown = [flag for flag in found.flags if flag.is_shown and flag.is_typed] if found else []
        for group, flags in groupby(shown, key=lambda flag: flag.group):
            with formatter.section(group):
                formatter.write_dl([(term_of(flag), words_of(flag)) for flag in flags])
        options = [each for each in super().get_params(ctx) if isinstance(each, click.Option)]
        records = [record for each in options if (record := each.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl(records)

    def _read(self, ctx: click.Context, name: str, is_local: bool) -> TemplateFlags:
        template = BundledTemplate(name) if is_local else Client().get_run_template(name)
        return TemplateFlags(template, self._own(ctx))

    def _own(self, ctx: click.Context) -> list[str]:
        return [name for each in super().get_params(ctx) for name in (*each.opts, *each.secondary_opts)]

    def _has_flags(self, ctx: click.Context, args: Sequence[str]) -> bool:
        own = set(self._own(ctx)) - set(HELP)
        words = list(args[: args.index("--")] if "--" in args else args)
        return any(word.startswith("-") and word.partition("=")[0] not in own for word in words)

    def _template_in(self, ctx: click.Context, args: Sequence[str]) -> str | None:
        """The first word that is neither an option of our own nor its value; None where another flag is before it."""
        options = [each for each in super().get_params(ctx) if isinstance(each, click.Option)]
        with_value = {name for each in options if not (each.is_flag or each.count) for name in each.opts}
        own = {name for each in options for name in (*each.opts, *each.secondary_opts)}
        words = iter(args)
        for word in words:
            if word == "--":
                return next(words, None)
            if word in with_value:
                next(words, None)
            elif word.startswith("--") and word.partition("=")[0] not in own:
                return None
            elif not word.startswith("-"):
                return word
        return None

    def _unknown(
        self, error: click.NoSuchOption, found: TemplateFlags | None, ctx: click.Context
    ) -> click.UsageError:
        if found is None:
            hint = "The name of the template comes first, its flags after it."
            return click.UsageError(f"{error.format_message()} {hint}", ctx)
        names = [*(flag.name for flag in found.flags if flag.is_typed), *self._own(ctx)]
        likely = closest(error.option_name, names) or next(
            (name for name in names if name.rpartition(".")[2] == error.option_name[2:]), None
        )
        hidden = next((flag for flag in found.flags if error.option_name in flag.names), None)
        if hidden is not None:
            hint = "It holds a secret: give its parts, or all of it with --config."
        elif found.note:
            hint = f"{found.note} Until then give it by its whole path: --set {_path_like(error.option_name)}=VALUE"
        elif likely:
            hint = f"Did you mean {likely}?"
        else:
            hint = f"See what there is: {ctx.command_path} --help"
        return click.UsageError(f"There is no {error.option_name}. {hint}", ctx)


def _asked_with(
    template: RunTemplateResponse, own: Mapping[str, Any], preset: str | None
) -> tuple[dict[str, Any], str]:
    """What a template asks for with these parameters of its pipeline; and a sentence, if that is not known."""
    answer = Client().transport.request(
        "POST",
        f"{template.path}/{template.id}/validate",
        params={"schema": "true"},
        json={"parameters": own, "preset": preset},
        is_repeatable=True,
    )
    about_own = [error["message"] for error in answer["errors"] if not error["pointer"].startswith("/steps/")]
    unknown = [words for words in answer["warnings"] if words.startswith("/parameters:")]
    return answer["config_schema"], " ".join([*about_own, *(words.partition(": ")[2] for words in unknown)])


def _path_like(name: str) -> str:
    """Where a configuration has what such a flag would stand for: of --train-3.rate, steps.train_3.parameters.rate."""
    step, _, parameter = name.removeprefix("--").replace("-", "_").partition(".")
    return f"steps.{step}.parameters.{parameter}" if parameter else f"parameters.{step}"


def _asked(flag: Flag) -> str:
    try:
        return ask_hidden(flag.name)
    except EOFError:
        raise click.UsageError(
            f"{flag.name} is asked for, and nobody can answer here. Give it with {_from_environment(flag.name)}."
        ) from None


def _from_environment(name: str) -> str:
    return f"--set-env {name.removeprefix('--')}=VARIABLE"


def _forms_of(name: str, flag: Flag) -> str:
    forms = [name, f"--no-{name[2:]}", f"{name}=true", f"{name}=false"]
    if _may_be_nothing(flag):
        forms.append(f"{name}={NOTHING}")
    return f"write {', '.join(forms[:-1])} or {forms[-1]}"


def _may_be_nothing(flag: Flag) -> bool:
    return flag.type.kind is Kind.SWITCH and flag.type.is_nullable


def _nothing_of(name: str) -> str:
    return f"--{NOTHING}-{name[2:]}"


def flags_in(ctx: click.Context) -> TemplateFlags | None:
    """The flags that the command line asked for, if it asked for any."""
    found: TemplateFlags | None = ctx.meta.get(META)
    return found


def refused_by_flags(
    error: ValidationFailed, flags: TemplateFlags, elsewhere: Mapping[str, Any]
) -> ValidationFailed:
    """The refusal, which names flags in place of pointers."""
    return ValidationFailed(named_by_flags(error.errors, flags.flags, elsewhere))


def term_of(flag: Flag) -> str:
    match flag.type.kind:
        case Kind.SWITCH:
            return " / ".join(spellings(flag.name, flag))
        case Kind.SECRET:
            return flag.name
        case Kind.LIST | Kind.NAMES:
            return f"{flag.name} {flag.type.metavar} …"
    return f"{flag.name} {flag.type.metavar}"


def words_of(flag: Flag) -> str:
    """Label, help, and in brackets what is taken and what it is when it is not given."""
    words = flag.type.words
    told = [
        text.rstrip(".")
        for text in (label_of(flag), " ".join(str(words.get("description") or "").split()))
        if text
    ]
    if flag.type.kind is Kind.SECRET:
        told.append("Takes no value: it is asked for, hidden; or give it with --set-env")
    if flag.type.kind is Kind.FILE:
        told.append("@FILE uploads a file of this machine; or the id of an artifact version")
    facts = [*bounds_of(flag.type), *_default_of(flag)]
    if _may_be_nothing(flag):
        facts.insert(0, f"{flag.name}={NOTHING} for neither")
    sentence = ". ".join(told) + ("." if told else "")
    return f"{sentence}  [{'; '.join(facts)}]".strip() if facts else sentence


def bounds_of(value: ValueType) -> list[str]:
    found = []
    for part in (value.entry if value.kind is Kind.LIST else value).parts:
        for words, key in _BOUNDS:
            if part.get(key) is not None:
                found.append(words.format(part[key]))
        limits = part.get(MOMENT_RULES, {})
        words_of = _LIMITS_OF_LENGTH if part.get("format") == "duration" else _LIMITS
        found += [words.format(limits[key]) for key, words in words_of.items() if key in limits]
    for key, words in (("minItems", "at least {} of them"), ("maxItems", "at most {} of them")):
        if value.kind is Kind.LIST and value.parts[0].get(key):
            found.append(words.format(value.parts[0][key]))
    return list(dict.fromkeys(found))


_LIMITS = {"gt": "after {}", "ge": "not before {}", "lt": "before {}", "le": "not after {}"}
_LIMITS_OF_LENGTH = {"gt": "more than {}", "ge": "at least {}", "lt": "less than {}", "le": "at most {}"}
_BOUNDS = (
    ("more than {}", "exclusiveMinimum"),
    ("at least {}", "minimum"),
    ("less than {}", "exclusiveMaximum"),
    ("at most {}", "maximum"),
    ("in steps of {}", "multipleOf"),
    ("at least {} characters", "minLength"),
    ("at most {} characters", "maxLength"),
)


def _default_of(flag: Flag) -> list[str]:
    words = flag.type.words
    if flag.is_required:
        return ["required"]
    if source := Source.read(words.get(DYNAMIC_DEFAULT)):
        return [f"default: {source}"]
    default = words.get("default")
    if default is None or default in ("", [], {}) or flag.type.holds_secret:
        return []
    entries = default if flag.type.kind is Kind.LIST and isinstance(default, list) else [default]
    text = ", ".join(_typed(entry, flag.type) for entry in entries)
    return [f"default: {text if len(text) <= LONGEST_DEFAULT else text[:LONGEST_DEFAULT] + '…'}"]


def _typed(value: Any, of: ValueType) -> str:
    label = next((text for known, text in of.choices if known == value), None)
    return label or (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
