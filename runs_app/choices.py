"""The one rule about chosen values, for every channel: what may be chosen, and what a run does until that is known."""

import hashlib
import json
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext, ngettext

from runs_app import preparations, recording, settling, statements
from runs_app.asked import look_on, unserved
from runs_app.models import PipelineRun, Preparation, RunChoice, RunEvent
from runs_app.plans import Runnable, deployment_of, rules_of, rules_of_run
from runs_app.preparations import Option
from runs_app.questions import (
    ChoicePlace,
    GivenChoice,
    Question,
    ValueMissing,
    choice_places,
    fits,
    given_choices,
    question_of,
)
from runs_app.run_configuration import (
    Configuration,
    ResolvedConfiguration,
    defaults_at,
    without_unset,
)
from templates_app.models import RunTemplate, RunTemplateVersion
from templates_app.permissions import check_can_run
from templates_app.schema_forms.schemas import read_steps
from templates_app.schema_validation import compile_schema
from templates_app.suggestions import did_you_mean, options_with
from zenweb.accounts.actions import Action
from zenweb.accounts.models import User
from zenweb.artifacts.previews import storable
from zenweb.config.choices import MOST_EXPLAINED, dependency_of
from zenweb.enums import PreparationStatus, Role
from zenweb.exceptions import DoesNotExist, FieldError, ValidationFailed, ZenWebError
from zenweb.pointers import pointer_to

Json = Any
MOST_STORED = 200  # of what was offered; of more, what was chosen and a hash
MOST_NAMED = 5
MOST_TOLD = 10  # values in a line of the ledger


class Knowledge(StrEnum):
    """What is known about choices at the moment."""

    KNOWN = "known"
    ASKING = "asking"
    FAILED = "failed"
    UNSERVED = "unserved"  # no worker is there to be asked
    MISSING = "missing"  # something that they depend on has no value


@dataclass(frozen=True)
class Offer:
    """What may be chosen, or the sentence why that is not known."""

    knowledge: Knowledge
    sentence: str = ""
    options: list[Option] = field(default_factory=list)
    log: str = ""
    """What the provider printed. Only for who owns the template."""

    @property
    def is_known(self) -> bool:
        return self.knowledge is Knowledge.KNOWN

    @property
    def is_asking(self) -> bool:
        return self.knowledge is Knowledge.ASKING

    def search(self, text: str) -> list[Option]:
        return options_with(text, self.options)


def ask_for_choices(
    *,
    actor: User,
    version: RunTemplateVersion,
    step: str,
    parameter: str,
    configuration: Configuration | None,
    wait: float,
    again: bool = False,
) -> Offer:
    """What may be chosen for a parameter, given the other values; asked for at most `wait` seconds.

    `again`: ask although it failed a moment ago. Raises DoesNotExist for a parameter that is not chosen.
    """
    version.used_by(check_can_run(actor, version.template))
    offer = _ask(version, step, parameter, configuration, wait=wait, again=again)
    return _as_the_owner_has_it(offer, version, step, parameter)


@dataclass(frozen=True)
class FormChoices:
    """What a form offers to who fills it in. All that it asks for together may keep it waiting until `deadline`."""

    user: User
    runnable: Runnable
    template: RunTemplate | None
    deadline: float
    """By the monotonic clock."""

    def ask(self, step: str, parameter: str, configuration: Configuration, *, again: bool) -> Offer:
        """`again`: although it failed a moment ago. What was printed is for the template's owner alone."""
        wait = max(0.0, self.deadline - time.monotonic())
        try:
            role = Role.NOBODY
            if self.template is not None:
                role = check_can_run(self.user, self.template)
            offer = _ask(self.runnable, step, parameter, configuration, wait=wait, again=again)
            offer = _as_the_owner_has_it(offer, self.runnable, step, parameter)
        except ZenWebError as error:
            return Offer(Knowledge.FAILED, str(error))
        return offer if Action.EDIT.is_for(role) else replace(offer, log="")


def find_refused(runnable: Runnable, configuration: Any, told: Sequence[FieldError] = ()) -> list[FieldError]:
    """The chosen values of a configuration of which it is known that they may not be chosen; nothing is asked.

    `told`: all that does not fit the schema, at which nothing more is looked for.
    """
    deployment, errors = deployment_of(runnable), list[FieldError]()
    if not (places := choice_places(deployment.pk)):
        return errors
    given, values = _given_in(configuration), _laid_over(defaults_at(runnable), configuration)
    rules = rules_of(runnable)
    for place in places.values():
        value = given.get(place.step, {}).get(place.parameter)
        if value is None or value == [] or not fits(rules, place.step, place.parameter, value):
            continue
        with suppress(ValueMissing):
            choice = GivenChoice(question_of(deployment, rules, place, values), value)
            if known := preparations.fresh_answer(choice.question):
                errors += refused(choice, known.answer)
    return errors


def check_choices(
    runnable: Runnable,
    resolved: ResolvedConfiguration,
    steps: Collection[str] | None = None,
    wait: float | None = None,
) -> list[FieldError]:
    """Hold what is chosen against what is known; what could not be checked, and why. `wait`: ask, so many seconds.

    Raises ValidationFailed with every value that may not be chosen.
    """
    errors, unchecked = list[FieldError](), list[FieldError]()
    deadline = time.monotonic() + (wait or 0)
    all_given = _given(runnable, resolved, steps)
    values = {step.spec.name: step.parameters for step in resolved.steps}
    may_ask = [wait is not None and _is_answerable(runnable, given, values) for given in all_given]
    for given, is_asked in zip(all_given, may_ask, strict=True):  # together, before the first is waited for
        if is_asked:
            _ask_and_wait(given.question, 0)
    for given, is_asked in zip(all_given, may_ask, strict=True):
        known = preparations.fresh_answer(given.question)
        offer = _offer_of(known) if known else None
        if offer is None and is_asked:
            offer = _ask_and_wait(given.question, deadline - time.monotonic())
        if offer and offer.knowledge is Knowledge.KNOWN:
            errors += refused(given, offer.options)
        else:
            sentence = offer.sentence if offer else _to_be_asked(given.question)
            unchecked.append(FieldError(given.chosen[0][0], sentence))
    if errors:
        raise ValidationFailed(errors)
    return unchecked


def _to_be_asked(question: Question) -> str:
    """What is known of choices that nobody is asked for now."""
    if failure := preparations.last_failure(question):
        words = gettext(
            "Its choices are asked for before the first step. When they were asked for last, that failed: %(failure)s"
        )
        return words % {"failure": failure}
    return recording.PREPARING


def refused(given: GivenChoice, options: Sequence[Option]) -> list[FieldError]:
    """The chosen values that are not among these."""
    offered = {_identity(value) for value, _ in options}
    wrong = [(pointer, value) for pointer, value in given.chosen if _identity(value) not in offered]
    names = dict(options)
    errors = [FieldError(pointer, _not_offered(value, names)) for pointer, value in wrong[:MOST_EXPLAINED]]
    if (more := len(wrong) - MOST_EXPLAINED) > 0:
        sentence = ngettext(
            "%(number)s more is not among the choices.", "%(number)s more are not among the choices.", more
        )
        errors.append(FieldError(pointer_to(given.question.place.path), sentence % {"number": more}))
    return errors


def _not_offered(value: Json, offered: Mapping[Json, str]) -> str:
    shown = ", ".join(f"“{each}”" for each in list(offered)[:MOST_NAMED])
    more = len(offered) - MOST_NAMED
    there_is = gettext("There is nothing to choose from.")
    if more > 0:
        there_is = gettext("There is: %(values)s and %(number)s more.") % {"values": shown, "number": more}
    elif offered:
        there_is = gettext("There is: %(names)s.") % {"names": shown}
    sentence = gettext("“%(value)s” is not among the choices.") % {"value": value}
    return storable(f"{sentence}{did_you_mean(str(value), map(str, offered))} {there_is}")


# -- runs --------------------------------------------------------------------------------------------------------------


def ask_before(
    runnable: Runnable, resolved: ResolvedConfiguration, steps: Collection[str] | None = None
) -> list[RunChoice]:
    """What a run that is being accepted has chosen: what is known is looked at here, for the rest it has to wait.

    The rows are the run's, to be written with it.
    """
    found = []
    for given in _given(runnable, resolved, steps):
        place = given.question.place
        row = RunChoice(step=place.step, parameter=place.parameter)
        if (known := preparations.fresh_answer(given.question)) and not refused(given, known.answer):
            row.is_open, row.offered = False, _as_stored(given, known.answer)
        else:
            row.preparation = known or preparations.ask(given.question, again=True, for_run=True)
        found.append(row)
    return found


def note(run: PipelineRun, choices: Sequence[RunChoice]) -> None:
    """Keep with the run what it chose and what was offered then."""
    for choice in choices:
        choice.run = run
        if choice.offered is not None:
            RunEvent.objects.note(run.pk, _told(choice))
    RunChoice.objects.bulk_create(choices)
    if unknown := [f"{choice.parameter} of step {choice.step}" for choice in choices if choice.is_open]:
        RunEvent.objects.note(run.pk, f"{recording.PREPARING} They are asked for: {', '.join(unknown)}.")


def settle_all() -> None:
    """Go on with the runs whose choices are known by now; any number may do so at once."""
    settling.settle_all(RunChoice.objects.all(), _settle)


@transaction.atomic
def _settle(pk: int, run_id: UUID) -> None:
    """Look at one choice, and let its run go, or end it, if that was the last one."""
    statements.lock_run(run_id)
    choice = RunChoice.objects.to_settle().filter(pk=pk).select_related("preparation").first()
    if choice is None:
        return
    run = PipelineRun.objects.select_related("stack", "deployment__stack").get(pk=run_id)
    if not run.is_finished:
        given = _given_to(run, choice)
        if choice.preparation is None:  # somebody removed what it waited for
            choice.preparation = preparations.ask(given.question, again=True, for_run=True)
            choice.save(update_fields=["preparation"])
            return
        _look_at(choice, given, run)
    choice.is_open = False
    choice.save(update_fields=["is_open", "offered", "refusal"])
    if run.choices.filter(is_open=True).exists():
        return
    refusals = dict[str, str]()
    for step, refusal in run.choices.exclude(refusal="").values_list("step", "refusal"):
        refusals[step] = " ".join(filter(None, [refusals.get(step), refusal]))
    if refusals:
        recording.refuse(run, refusals)
    else:
        recording.let_go(run)


def _given_to(run: PipelineRun, choice: RunChoice) -> GivenChoice:
    place = choice_places(run.deployment_id)[choice.step, choice.parameter]
    question = question_of(run.deployment, rules_of_run(run), place, run.parameters)
    return GivenChoice(question, run.parameters[choice.step][choice.parameter])


def _look_at(choice: RunChoice, given: GivenChoice, run: PipelineRun) -> None:
    offer = _offer_of(cast(Preparation, choice.preparation))
    if offer.is_known:
        choice.offered = _as_stored(given, offer.options)
        wrong = [error.message for error in refused(given, offer.options)]
    else:
        wrong = [offer.sentence]
    choice.refusal = " ".join([f"{choice.parameter}:", *wrong])[:2000] if wrong else ""
    told = f"Step {choice.step}, {choice.refusal}" if choice.refusal else _told(choice)
    RunEvent.objects.note(run.pk, told)


def _as_stored(given: GivenChoice, options: Sequence[Option]) -> Json:
    labels = {_identity(value): label for value, label in options}
    chosen = [[value, labels.get(_identity(value))] for _, value in given.chosen]
    whole = json.dumps(options, sort_keys=True).encode()
    facts = {"size": len(options), "sha256": hashlib.sha256(whole).hexdigest(), "chosen": chosen}
    return facts if len(options) > MOST_STORED else facts | {"options": options}


def _told(choice: RunChoice) -> str:
    """A line for the ledger."""
    chosen = choice.offered["chosen"]
    shown = ", ".join(f"“{label or value}”" for value, label in chosen[:MOST_TOLD])
    more = f" and {len(chosen) - MOST_TOLD} more" if len(chosen) > MOST_TOLD else ""
    several = "are" if len(chosen) > 1 else "is"
    size = choice.offered["size"]
    return f"Step {choice.step}, {choice.parameter}: {shown}{more} {several} among the {size:,} choices there were."


def choices_of(run: PipelineRun) -> list[RunChoice]:
    """What of a run was chosen, with what was offered; where nothing is, nothing is looked for."""
    return list(run.choices.all()) if choice_places(run.deployment_id) else []


def labelled(choice: RunChoice, value: Json) -> Json:
    """A chosen value, or each of several, in the words that it was offered with."""
    labels = {_identity(chosen): label for chosen, label in (choice.offered or {}).get("chosen", [])}
    if isinstance(value, list):
        return [labels.get(_identity(entry)) or entry for entry in value]
    return labels.get(_identity(value)) or value


# -- asking ------------------------------------------------------------------------------------------------------------


def _ask(
    runnable: Runnable,
    step: str,
    parameter: str,
    configuration: Configuration | None,
    *,
    wait: float,
    again: bool,
) -> Offer:
    deployment = deployment_of(runnable)
    place = choice_places(deployment.pk).get((step, parameter))
    if place is None:
        raise DoesNotExist(
            f"Parameter {parameter!r} of step {step!r} is not chosen from what a worker is asked for."
        )
    try:
        values = _laid_over(defaults_at(runnable), configuration)
        _check_what_it_depends_on(runnable, place, values)
        question = question_of(deployment, rules_of(runnable), place, values)
    except ValueMissing as missing:
        words = gettext("What may be chosen depends on %(missing)s: give that a valid value first.")
        return Offer(Knowledge.MISSING, words % {"missing": _title_of(runnable, missing, step)})
    return _ask_and_wait(question, wait, again=again)


def _is_answerable(runnable: Runnable, given: GivenChoice, values: Mapping[str, Mapping[str, Json]]) -> bool:
    """Whether no value that its provider would be told is known to be wrong."""
    try:
        _check_what_it_depends_on(runnable, given.question.place, values)
    except ValueMissing:
        return False
    return True


def _check_what_it_depends_on(
    runnable: Runnable, place: ChoicePlace, values: Mapping[str, Mapping[str, Json]]
) -> None:
    """Raises ValueMissing where that is itself chosen, with a value of which it is known that it may not be."""
    deployment, rules = deployment_of(runnable), rules_of(runnable)
    places, waiting, seen = choice_places(deployment.pk), [place], {place}
    while waiting:
        here = waiting.pop()
        question = question_of(deployment, rules, here, values)
        if here is not place:
            known = preparations.fresh_answer(question)
            if known and refused(GivenChoice(question, values[here.step][here.parameter]), known.answer):
                raise ValueMissing(here.step, here.parameter)
        for dependency in here.rules.depends_on:
            key = dependency_of(here.step, dependency)
            upstream, value = places.get(key), values[key[0]][key[1]]
            if upstream is not None and upstream not in seen and value is not None and value != []:
                seen.add(upstream)
                waiting.append(upstream)


def _title_of(runnable: Runnable, missing: ValueMissing, step: str) -> str:
    """What a parameter is called, with its step where that is another."""
    other, name = missing.key
    steps = {each.name: each for each in read_steps(rules_of(runnable).config_schema)}
    parameters = steps[other].parameters if other in steps else ()
    title = next((each.title for each in parameters if each.name == name), name)
    if other == step:
        return title
    return f"{title} ({steps[other].title if other in steps else other})"


def _as_the_owner_has_it(offer: Offer, runnable: Runnable, step: str, parameter: str) -> Offer:
    """Without what the template takes no more, although the pipeline does."""
    rules = rules_of(runnable)
    if rules.config_schema is rules.plan.config_schema or not offer.options:
        return offer
    place = choice_places(deployment_of(runnable).pk)[step, parameter]
    takes = compile_schema(place.entry_in(rules.config_schema)).is_valid
    return replace(offer, options=[(value, label) for value, label in offer.options if takes(value)])


def _given(
    runnable: Runnable, resolved: ResolvedConfiguration, steps: Collection[str] | None
) -> list[GivenChoice]:
    try:
        return given_choices(runnable, resolved, steps)
    except ValueMissing as missing:
        raise ValidationFailed(
            gettext("What may be chosen depends on %(missing)s, whose value cannot be told.")
            % {"missing": _title_of(runnable, missing, "")}
        ) from missing


def _laid_over(
    defaults: Mapping[str, Mapping[str, Json]], configuration: Configuration | None
) -> dict[str, Mapping[str, Json]]:
    """What the steps would run with: what a configuration gives, and else these."""
    given = _given_in(configuration)
    return {name: {**values, **given.get(name, {})} for name, values in defaults.items()}


def _given_in(configuration: Configuration | None) -> dict[str, Mapping[str, Json]]:
    """The parameters that a configuration gives, however unfinished it is."""
    cleaned = without_unset(configuration) if isinstance(configuration, dict) else {}
    steps = cleaned.get("steps")
    given = dict[str, Mapping[str, Json]]()
    for name, step in steps.items() if isinstance(steps, dict) else ():
        parameters = step.get("parameters") if isinstance(step, dict) else None
        given[name] = parameters if isinstance(parameters, dict) else {}
    return given


def _ask_and_wait(question: Question, seconds: float, *, again: bool = False) -> Offer:
    """What is known of it after at most so many seconds. Not inside of a transaction."""
    try:
        asked = preparations.ask(question, again=again)
    except preparations.TooManyQuestions:
        sentence = gettext("Workers are asked for too much of this pipeline. Try again in a moment.")
        return Offer(Knowledge.FAILED, sentence)
    look_on(asked, seconds)
    return _offer_of(asked)


def _offer_of(asked: Preparation) -> Offer:
    match PreparationStatus(asked.status):
        case PreparationStatus.ANSWERED:
            return Offer(Knowledge.KNOWN, options=[(value, label) for value, label in asked.answer])
        case PreparationStatus.FAILED:
            return Offer(Knowledge.FAILED, asked.failure, log=asked.log_tail)
        case PreparationStatus.WAITING if sentence := unserved(asked):
            return Offer(Knowledge.UNSERVED, sentence)
    return Offer(Knowledge.ASKING, gettext("A worker is asked for them."))


def _identity(value: Json) -> Any:
    """Equal for equal JSON values: 5 is 5.0, and true is not 1."""
    return isinstance(value, bool), value
