"""What is done with presets: values are kept under a name, used, and checked when their template changes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from runs_app.differences import keepable, of_steps
from runs_app.dynamic_defaults import current_schema
from runs_app.known_errors import known_errors, refused_of, unknown_steps
from runs_app.models import ArtifactVersion, PipelineRun
from runs_app.own_parameters import Answers, Asked, asked_to_run, known_among, own_parameters, put_together
from runs_app.plans import deployment_of
from runs_app.repair import Known, explained, has_value, known_parameters, lay_over, path_of
from runs_app.run_configuration import Configuration
from templates_app.models import PipelineDeployment, Preset, RunTemplate
from templates_app.names import check_name
from templates_app.permissions import check_can_edit_preset, check_may_keep_values
from templates_app.schema_forms.schemas import read_steps
from templates_app.schema_places import secrets_left_out
from templates_app.suggestions import suggestion
from zenweb.accounts.audit import facts_of, record_audit
from zenweb.accounts.models import User
from zenweb.accounts.permissions import check_may_change
from zenweb.config.file_references import references_in
from zenweb.enums import AuditVerb, ExecutionStatus
from zenweb.exceptions import DoesNotExist, EntityExists, FieldError, ValidationFailed
from zenweb.pointers import pointer_to

# The built-in one: the values of the template's last completed run.
LAST_GOOD = "last-good"
PARAMETER = 4  # parts of the path of one
MOST_PRESETS = 200  # of one owner for one template


@transaction.atomic
def create_preset(
    *,
    actor: User,
    template: RunTemplate,
    name: str,
    configuration: Mapping[str, Any] | None = None,
    is_shared: bool = False,
) -> Preset:
    """Keep values under a name: what differs from the defaults, without secrets.

    Values may be missing, those that are given must fit the template's newest version; raises ValidationFailed.
    """
    check_may_change(actor)
    template.version.used_by(check_may_keep_values(actor, template))
    preset = Preset(template=template, user=actor, name=name.strip(), is_shared=is_shared)
    _check_name(preset)
    if Preset.objects.filter(template=template, user=actor).count() >= MOST_PRESETS:
        raise ValidationFailed(
            gettext("You have %(most_presets)s presets of this template. Delete one of them first.")
            % {"most_presets": MOST_PRESETS}
        )
    _keep(preset, configuration or {})
    _save(preset)
    _share_files(actor, preset)
    record_audit(actor=actor, verb=AuditVerb.CREATE, thing=preset, after=facts_of(preset))
    return preset


@transaction.atomic
def update_preset(
    *,
    actor: User,
    preset: Preset,
    name: str | None = None,
    configuration: Mapping[str, Any] | None = None,
    is_shared: bool | None = None,
) -> Preset:
    """Change what is given; None leaves a thing as it is."""
    preset = _locked(preset)
    preset.template.version.used_by(check_can_edit_preset(actor, preset))
    before, values, facts = (preset.name, preset.is_shared), preset.configuration, facts_of(preset)
    preset.name = preset.name if name is None else name.strip()
    preset.is_shared = preset.is_shared if is_shared is None else is_shared
    if before != (preset.name, preset.is_shared):
        _check_name(preset)
    if configuration is not None:
        _keep(preset, configuration)
    _save(preset)
    _share_files(actor, preset)
    after = facts_of(preset)
    if values != preset.configuration and "configuration" not in after:
        after |= {"configuration": "Other values, which are its owner's alone."}
    record_audit(actor=actor, verb=AuditVerb.CHANGE, thing=preset, before=facts, after=after)
    return preset


@transaction.atomic
def delete_preset(*, actor: User, preset: Preset) -> None:
    """Forget a preset; runs and schedules that started from it have values of their own."""
    check_can_edit_preset(actor, preset)
    record_audit(actor=actor, verb=AuditVerb.DELETE, thing=preset, before=facts_of(preset))
    preset.delete()


# -- using ------------------------------------------------------------------------------------------------------------


def preset_values(
    actor: User, template: RunTemplate, name: str, *, with_fixed: bool = False
) -> Configuration:
    """What a preset's name stands for. Raises DoesNotExist, which names those that there are.

    `with_fixed`: of the last good values, also those that are fixed by now, which a run would be refused with.
    """
    if name == LAST_GOOD:
        run = last_good_run(actor, template)
        if run is None:
            raise DoesNotExist(
                gettext("No run of %(name)r has completed yet, so there are no last good values.")
                % {"name": template.name}
            )
        return values_of_run(template, run, with_fixed=with_fixed)
    found = Preset.objects.usable_by(actor).filter(template=template, name=name).first()
    if found is None:
        known = [
            LAST_GOOD,
            *Preset.objects.usable_by(actor).filter(template=template).values_list("name", flat=True),
        ]
        raise DoesNotExist(
            gettext("The template %(template)r has no preset %(name)r.")
            % {"template": template.name, "name": name}
            + suggestion(name, known)
        )
    values: Configuration = found.configuration
    return values


@dataclass(frozen=True)
class PresetUse:
    """The values of a preset with what is given over them."""

    name: str
    start: Configuration
    given: Any
    known: Known

    @property
    def values(self) -> Any:
        """What to run with, not checked yet."""
        return lay_over(self.start, self.given, self.known)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Of values that do not fit, tell which ones are the preset's."""
        try:
            yield
        except ValidationFailed as error:
            told = explained(
                error.errors, self.start, self.given, gettext("the preset %(name)r") % {"name": self.name}
            )
            raise ValidationFailed(list(told)) from error


def use_preset(*, actor: User, template: RunTemplate, name: str, given: Any = None) -> PresetUse:
    """Start from a preset. Raises DoesNotExist for an unknown name, ValidationFailed where a secret is missing."""
    start = {"steps": {}, **preset_values(actor, template, name)}
    schema = _schema_of(template)
    # A parameter that is secret as a whole is simply not in it; inside of a value, another kind would be meant.
    inside = (path for path in secrets_left_out(schema, start) if len(path) > PARAMETER)
    if missing := [path for path in inside if not has_value(given, path[:PARAMETER])]:
        sentence = gettext("The preset %(name)r keeps no secret: give this value beside it.") % {"name": name}
        raise ValidationFailed([FieldError(pointer_to(path), sentence) for path in missing])
    return PresetUse(name, start, given, known_parameters(schema))


def last_good_run(actor: User, template: RunTemplate) -> PipelineRun | None:
    """Of a template that they may see, and of runs whose values they may see."""
    runs = PipelineRun.objects.showing_values_to(actor).filter(
        template=template, status=ExecutionStatus.COMPLETED
    )
    found: PipelineRun | None = runs.order_by("-created").first()
    return found


def values_of_run(template: RunTemplate, run: PipelineRun, *, with_fixed: bool = False) -> Configuration:
    """The values that a run ran with, as far as the newest version asks for them; without secrets."""
    schema = current_schema(put_together(template.version, run.own_parameters))
    asked = {
        step.name: {parameter.name for parameter in step.parameters if with_fixed or not parameter.is_locked}
        for step in read_steps(schema)
    }
    parameters = {
        name: {key: value for key, value in values.items() if key in asked[name]}
        for name, values in run.parameters.items()
        if name in asked
    }
    own = {name: value for name, value in run.own_parameters.items() if name in asked.get("", ())}
    return keepable(schema, {**({"parameters": own} if own else {}), **of_steps(parameters)})


# -- checking ---------------------------------------------------------------------------------------------------------


def problems_of(preset: Preset) -> list[FieldError]:
    """What the newest version of its template refuses of a preset, and the version that it was made for did not."""
    return problems_of_each([preset])[preset.pk]


def problems_of_each(presets: Sequence[Preset]) -> dict[UUID, list[FieldError]]:
    """The same of many, by their ids, in as many queries as of one."""
    older = [preset for preset in presets if preset.version_id != preset.template.latest_version_id]
    among = known_among(
        (version, preset.configuration)
        for preset in older
        for version in (preset.template.version, preset.version)
    )
    return {preset.pk: [] for preset in presets} | {preset.pk: _problems(preset, among) for preset in older}


def _problems(preset: Preset, among: Answers) -> list[FieldError]:
    now = refused_of(preset.template.version, dict(preset.configuration), among)
    if not now:
        return []
    missed_before = {error.pointer for error in refused_of(preset.version, dict(preset.configuration), among)}
    return [error for error in now if error.pointer not in missed_before]


def kept_configuration(template: RunTemplate, configuration: Mapping[str, Any]) -> Configuration:
    """What of these values a preset of the template would keep today."""
    shown = put_together(template.version, own_parameters(configuration))
    return keepable(current_schema(shown), configuration)


def _keep(preset: Preset, configuration: Mapping[str, Any]) -> None:
    """Put values into a preset. That some are missing is none of its concern: they are asked for at each run."""
    version = preset.template.version
    asked = asked_to_run(version, dict(configuration))
    errors = [*known_errors(version, dict(configuration)), *unknown_steps(asked)]
    if wrong := [error for error in errors if not _is_missing(error, configuration)]:
        raise ValidationFailed(wrong)
    preset.configuration = kept_configuration(preset.template, configuration)
    preset.version = version
    preset.deployment = _derived(asked)


def _derived(asked: Asked) -> PipelineDeployment | None:
    """What its pipeline is put together as with the parameters of its own that it holds, if that is known."""
    deployment = deployment_of(asked.runnable)
    return deployment if asked.is_known and deployment.derived_from_id else None


def _share_files(actor: User, preset: Preset) -> None:
    """Whoever may use a shared preset may use the files in it: those that its author may see."""
    wanted = {reference.artifact_version for reference in references_in(preset.configuration)}
    ids = wanted if preset.is_shared else ()
    files = ArtifactVersion.objects.visible_to(actor).filter(pk__in=ids)
    preset.files.set(files)


def _is_missing(error: FieldError, configuration: Mapping[str, Any]) -> bool:
    path = path_of(error)
    return bool(path) and not has_value(configuration, path)


def _check_name(preset: Preset) -> None:
    check_name(preset.name)
    if preset.name == LAST_GOOD:
        sentence = gettext(
            "%(last_good)r always stands for the values of the last completed run. Choose another name."
        ) % {"last_good": LAST_GOOD}
        raise ValidationFailed([FieldError("/name", sentence)])
    others = Preset.objects.filter(
        template=preset.template, name=preset.name, is_shared=preset.is_shared
    ).exclude(pk=preset.pk)
    if (others if preset.is_shared else others.filter(user=preset.user)).exists():
        raise _taken(preset)


def _locked(preset: Preset) -> Preset:
    """As it is now: somebody else may have changed it since it was looked up."""
    locked = cast(Preset, Preset.objects.select_for_update(of=("self",)).with_relations().get(pk=preset.pk))
    locked.template = preset.template
    return locked


def _save(preset: Preset) -> None:
    try:
        with transaction.atomic():
            preset.save()
    except IntegrityError as error:  # somebody else was a moment faster
        raise _taken(preset) from error


def _taken(preset: Preset) -> EntityExists:
    words = gettext(
        "You have a preset of this template called %(name)r already. Choose another name, or delete that one first."
    )
    if preset.is_shared:
        words = gettext(
            "This template has a shared preset called %(name)r already. "
            "Choose another name, or delete that one first."
        )
    return EntityExists(words % {"name": preset.name})


def _schema_of(template: RunTemplate) -> Configuration:
    """With the defaults of the moment: what is as they are is none of a preset's, which follows them."""
    return current_schema(template.version)
