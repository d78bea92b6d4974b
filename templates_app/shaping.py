"""What the owner of a template fills in to shape its form: its sections, and the cards in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext

from templates_app.curated_schema import curate
from templates_app.curation import UNREADABLE, Curation, read_curation, read_what_is_right
from templates_app.curation_fit import misfits, placed, read_fitting
from templates_app.form_cards import Card, cards_of
from templates_app.models import RunTemplateVersion
from templates_app.schema_forms import ConfigurationForm
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pointers import from_pointer

PREVIEW = "templates_app/schema_form/preview.html"


@dataclass
class Group:
    """A section of the form, with the cards in it."""

    number: str
    title: str
    help: str
    cards: list[Card] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Shape:
    """The page of a template's form: its sections and cards, as they stand or as they were sent."""

    def __init__(self, version: RunTemplateVersion, data: QueryDict | None = None) -> None:
        self.version = version
        self.schema: dict[str, Any] = version.deployment.config_schema
        self.errors: list[str] = []
        self.left_out: list[str] = []
        """Sentences about what a file says and this template has no place for."""
        self._of_a_file: list[FieldError] = []
        self.is_overtaken = False
        """Whether somebody else has saved another version meanwhile."""
        self.curation: Curation | None = None
        self.cards = {card.key: card for card in cards_of(self.schema)}
        self.groups: list[Group] = []
        if data is None:
            self.show(read_curation(version.curation))
        else:
            self._take(data)

    @property
    def rest(self) -> list[Card]:
        """The cards that stand in no section: they stay with their steps."""
        placed = {card.key for group in self.groups for card in group.cards}
        return [card for card in self.cards.values() if card.key not in placed]

    @property
    def all_errors(self) -> list[tuple[str, str]]:
        """Each with the place that it is about."""
        return [
            *(("", sentence) for sentence in self.errors),
            *((f"section-{group.number}", sentence) for group in self.groups for sentence in group.errors),
            *(
                (card.id, f"{card.title}: {sentence}")
                for card in self.cards.values()
                for sentences in card.errors.values()
                for sentence in sentences
            ),
        ]

    def show(self, curation: Curation) -> None:
        """Put a whole curation in the place of what stands there."""
        self.cards = {card.key: card for card in cards_of(self.schema)}
        for key, asked in self._known(curation).parameters.items():
            self.cards[key].show(asked)
        placed = [key for section in curation.sections for key in section.parameters]
        self.left_out = [
            gettext("This template has no parameter %(key)r: what is said about it is left out.")
            % {"key": key}
            for key in dict.fromkeys([*curation.parameters, *placed])
            if key not in self.cards and key != UNREADABLE
        ]
        self.groups = [
            Group(
                str(number),
                "" if section.title == UNREADABLE else section.title,
                section.help,
                [self.cards[key] for key in section.parameters if key in self.cards],
            )
            for number, section in enumerate(curation.sections, 1)
        ]

    def _known(self, curation: Curation) -> Curation:
        """Without what is said about parameters that there are not."""
        sections = [
            section.model_copy(
                update={"parameters": [key for key in section.parameters if key in self.cards]}
            )
            for section in curation.sections
        ]
        parameters = {key: asked for key, asked in curation.parameters.items() if key in self.cards}
        return curation.model_copy(update={"sections": sections, "parameters": parameters})

    def take_over(self, document: Any) -> None:
        """Put what a file says in the place of what stands there, as far as it can be read; the rest is told."""
        curation, errors = read_what_is_right(document)
        if not isinstance(document, dict):
            self.add_errors(errors)
            return
        self.show(curation)
        told = {error.pointer for error in errors}
        misfitting = [misfit.error for misfit in misfits(self.schema, self._known(curation))]
        self._of_a_file = [*errors, *(error for error in misfitting if error.pointer not in told)]

    def judge(self) -> bool:
        """Whether this can be saved; else what is wrong stands at its place."""
        entries = {card.key: entry for card in self.cards.values() if (entry := card.entry())}
        sections = [
            {
                "title": group.title.strip(),
                "help": group.help.strip(),
                "parameters": [card.key for card in group.cards],
            }
            for group in self.groups
        ]
        try:
            curation = read_fitting(self.schema, {"sections": sections, "parameters": entries})
        except ValidationFailed as error:
            self.add_errors(error.errors)
        # What no input could take over is told, and nothing is left of it to be corrected.
        self.left_out += [placed(error) for error in self._of_a_file if not self._is_told(error)]
        if self.all_errors:
            return False
        self.curation = curation
        return True

    def add_errors(self, errors: Sequence[FieldError]) -> None:
        # Of what cannot be read, it is not also wrong that it is not there.
        told = {key: set(card.errors) for key, card in self.cards.items()}
        for error in errors:
            kind, *path = from_pointer(error.pointer) or [""]
            if kind == "parameters" and len(path) > 1 and path[0] in self.cards:
                name = _input_of(path[1])
                if name not in told[path[0]]:
                    self.cards[path[0]].errors.setdefault(name, []).append(error.message)
            elif kind == "seen_version":
                self.is_overtaken = True
                self.errors.append(error.message)
            elif kind == "sections" and path and int(path[0]) < len(self.groups):
                words = gettext("Give this section a title.") if path[1:] == ["title"] else error.message
                group = self.groups[int(path[0])]
                group.errors = list(dict.fromkeys([*group.errors, words]))
            else:
                self.errors.append(placed(error))

    def _is_told(self, error: FieldError) -> bool:
        match from_pointer(error.pointer):
            case ("parameters", key, name, *_) if key in self.cards:
                return _input_of(name) in self.cards[key].errors
            case ("sections", number, "title") if int(number) < len(self.groups):
                return bool(self.groups[int(number)].errors)
        return False

    def preview(self) -> ConfigurationForm | None:
        """The form as whoever runs the template will see it; None while something is wrong."""
        if self.curation is None or self.all_errors:
            return None
        form = ConfigurationForm(curate(self.schema, self.curation), validate=lambda *_: [])
        form.helper.template = PREVIEW
        return form

    def press(self, action: str) -> None:
        """What the buttons do that change the sections."""
        verb, _, name = action.partition(" ")
        numbers = [group.number for group in self.groups]
        if verb == "add-section":
            number = max(map(int, numbers), default=0) + 1
            self.groups.append(Group(str(number), gettext("New section %(number)d") % {"number": number}, ""))
        elif verb == "remove-section":
            self.groups = [group for group in self.groups if group.number != name]
        elif verb in {"section-up", "section-down"} and name in numbers:
            _move(self.groups, numbers.index(name), verb)
        elif verb in {"up", "down"}:
            for group in self.groups:
                keys = [card.key for card in group.cards]
                if name in keys:
                    _move(group.cards, keys.index(name), verb)

    def _take(self, data: QueryDict) -> None:
        for key, card in self.cards.items():
            card.texts = {
                name.removeprefix(f"{key}:"): data.get(name, "").replace("\r\n", "\n")
                for name in data
                if name.startswith(f"{key}:")
            }
            card.choices = data.getlist(f"{key}:listed")
            if not data.get(f"{key}:has-list"):
                card.choices = [key for key, _ in card.listed]
            self._keep_the_order(card)
        order = [key for key in dict.fromkeys(data.getlist("parameter")) if key in self.cards]
        for number in dict.fromkeys(data.getlist("section")):
            if number.isdecimal():
                cards = [self.cards[key] for key in order if data.get(f"{key}:section") == number]
                title, help_text = (
                    data.get(f"section:{number}:title", ""),
                    data.get(f"section:{number}:help", ""),
                )
                self.groups.append(Group(number, title, help_text.replace("\r\n", "\n"), cards))

    def _keep_the_order(self, card: Card) -> None:
        """Of choices that were listed in an order of the owner's own, which checkboxes cannot show."""
        before = self.version.curation.get("parameters", {}).get(card.key, {}).get("choices")
        if before is not None and card.listed:
            texts = [card.control.to_text(value) for value in before]
            if set(texts) == set(card.choices):
                card.choices = texts


def _input_of(name: str) -> str:
    """The input of a card in which a part of a curation stands."""
    return "value" if name in {"locked", "default"} else name


def _move(things: list[Any], place: int, verb: str) -> None:
    other = place - 1 if verb.endswith("up") else place + 1
    if 0 <= other < len(things):
        things[place], things[other] = things[other], things[place]
