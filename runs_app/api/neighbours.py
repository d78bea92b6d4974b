"""What a step has to do with the others of its run: where its inputs come from, and what it waits for."""

from collections.abc import Sequence

from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, OuterRef, QuerySet

from runs_app.inputs import sources_of
from runs_app.models import StepOutput, StepRun
from runs_app.plans import plan_of
from zenweb.accounts.models import User


def find_neighbours(steps: Sequence[StepRun]) -> None:
    """Fill in `input_versions` and `parent_ids`, in two queries however many steps there are.

    A list of what a mapped step gave out is not among the inputs: it may be a thousand.
    """
    specs = {step: plan_of(step.run.deployment_id).step(step.spec_index) for step in steps}
    sources = {step: list(sources_of(plan_of(step.run.deployment_id), step)) for step in steps}
    upstream = {name for spec in specs.values() for name in spec.upstream}
    upstream |= {source.step for found in sources.values() for source in found}
    found = StepRun.objects.filter(run__in={step.run_id for step in steps}, name__in=upstream)
    ids = {(run_id, name): pk for pk, run_id, name in found.values_list("pk", "run_id", "name")}
    versions = {
        (output.step_id, output.name): output.artifact_version
        for output in outputs_with_versions().filter(step__in=ids.values())
    }
    for step, spec in specs.items():
        step.parent_ids = [ids[step.run_id, name] for name in spec.upstream if (step.run_id, name) in ids]
        given = {
            source.parameter: versions.get((ids.get((step.run_id, source.step)), source.output))
            for source in sources[step]
        }
        step.input_versions = {name: version for name, version in given.items() if version is not None}


def outputs_shown_to(user: User | AnonymousUser) -> QuerySet[StepOutput]:
    """The same with whether the user may see the run that made each: of one from the cache, perhaps not."""
    made_by = StepRun.objects.visible_to(user).filter(pk=OuterRef("artifact_version__producer_step"))
    return outputs_with_versions().annotate(shows_producer=Exists(made_by))


def outputs_with_versions() -> QuerySet[StepOutput]:
    """Outputs with what an answer says of their versions."""
    return StepOutput.objects.select_related("artifact_version__artifact", "artifact_version__producer_step")
