"""What the process that runs an attempt is told."""

from collections.abc import Sequence

from runs_app import statements
from runs_app.given_files import given_files, stored_artifacts
from runs_app.inputs import Source, sources_of
from runs_app.models import PipelineRun, Preparation, StepAttempt
from runs_app.plans import may_retry, plan_of
from zenweb.config.choices import argument_name, dependency_of
from zenweb.execution.protocol import (
    Argument,
    Assignment,
    Compilation,
    InputArtifact,
    Question,
    ServerAccess,
)
from zenweb.sealing import opened


def assignment_for(attempt: StepAttempt, server: ServerAccess | None = None) -> Assignment:
    """Everything needed to run the attempt, read from its run's deployment and the outputs of earlier steps.

    `server`: what a worker tells of it. Raises SecretUnreadable.
    """
    step, run = attempt.step, attempt.step.run
    plan = plan_of(run.deployment_id)
    spec = plan.step(step.spec_index)
    inputs, collected = _inputs(run, list(sources_of(plan, step)))
    return Assignment(
        run_id=run.id,
        run_name=run.name,
        pipeline_name=plan.spec.name,
        step_run_id=step.id,
        step_name=step.name,
        attempt=attempt.number,
        source=spec.source,
        parameters=opened(step.parameters, run.id),
        inputs=inputs | stored_artifacts(run, spec.artifacts),
        collected=collected,
        outputs=spec.outputs,
        artifact_uri=attempt.artifact_uri,
        files=given_files(run, step.parameters),
        settings=step.settings,
        is_last=not may_retry(step),
        server=server,
    )


def question_for(preparation: Preparation) -> Question:
    """Everything needed to ask what may be chosen."""
    sources = {step.name: step.source for step in plan_of(preparation.deployment_id).spec.steps}
    arguments = []
    for dependency, value in preparation.arguments:
        step, parameter = dependency_of(preparation.step, dependency)
        arguments.append(
            Argument(name=argument_name(dependency), source=sources[step], parameter=parameter, value=value)
        )
    return Question(source=sources[preparation.step], parameter=preparation.parameter, arguments=arguments)


def compilation_for(preparation: Preparation) -> Compilation:
    """Everything needed to put the pipeline together."""
    spec = plan_of(preparation.deployment_id).spec
    return Compilation(
        source=spec.source,
        name=spec.name,
        parameters=dict(preparation.arguments),
        configuration=spec.configuration,
    )


def _inputs(
    run: PipelineRun, sources: Sequence[Source]
) -> tuple[dict[str, InputArtifact], dict[str, list[InputArtifact]]]:
    """Single artifacts and lists, by parameter. What a skipped step would have given out is left out."""
    if not sources:
        return {}, {}
    names = sorted({source.step for source in sources if not source.is_list})
    mapped = sorted(
        {source.mapped_index for source in sources if source.is_list and source.mapped_index is not None}
    )
    given = statements.outputs_of(run.pk, names, mapped)
    single = {
        source.parameter: given.single[source.step, source.output].model_copy(
            update={"element": source.element}
        )
        for source in sources
        if not source.is_list
        and not (source.is_optional and (source.step, source.output) not in given.single)
    }
    lists = {
        source.parameter: given.lists.get((source.mapped_index, source.output), [])
        for source in sources
        if source.is_list and source.mapped_index is not None
    }
    return single, lists
