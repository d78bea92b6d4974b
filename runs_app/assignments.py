"""What the process that runs an attempt is told."""

from runs_app import statements
from runs_app.given_files import given_files
from runs_app.models import PipelineRun, Preparation, StepAttempt
from runs_app.plans import may_retry, plan_of
from zenweb.config.choices import argument_name, dependency_of
from zenweb.config.spec import InputSpec
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
    spec = plan.step(step.index)
    return Assignment(
        run_id=run.id,
        run_name=run.name,
        pipeline_name=plan.spec.name,
        step_run_id=step.id,
        step_name=step.name,
        attempt=attempt.number,
        source=spec.source,
        parameters=opened(step.parameters, run.id),
        inputs=_inputs(run, spec.inputs),
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


def _inputs(run: PipelineRun, wanted: dict[str, InputSpec]) -> dict[str, InputArtifact]:
    if not wanted:
        return {}
    given = statements.outputs_of(run.pk, sorted({source.step for source in wanted.values()}))
    return {parameter: given[source.step, source.output] for parameter, source in wanted.items()}
