"""Which steps need not run, because they ran before: same code, parameters and inputs, in the same place.

Asked once per step, by recording when nothing is left to wait for. What completed feeds the cache, nothing else.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from runs_app import statements
from runs_app.given_files import by_content, contents_of
from runs_app.inputs import Source, sources_of
from runs_app.models import PipelineRun
from runs_app.plans import Plan, plan_of
from runs_app.statements import ReadyStep
from zenweb.config.spec import StepSpec
from zenweb.exceptions import SecretUnreadable
from zenweb.sealing import keyed_hash, opened

KEY_VERSION = 1
MOST_ROWS = (
    100  # of steps behind each other that are looked ahead at; one further behind counts as not cached
)
Versions = dict[tuple[str, str], uuid.UUID]
"""Artifact versions by the step that gave them out and the output's name."""
Lists = Mapping[tuple[int, str], Sequence[uuid.UUID]]
"""Those of all runs of a mapped step, by its index and the output's name."""


def find_reusable(
    run: PipelineRun, ready: Sequence[ReadyStep], known: Versions
) -> dict[uuid.UUID, dict[str, uuid.UUID]]:
    """The outputs of those of the ready steps that need not run; `known` is what the caller knows of their inputs.

    Artifacts of a stack without a store of its own are on its callers' machines, where others may not find them:
    steps of such stacks always run.
    """
    asked = [step for step in ready if step.settings.get("enable_cache", True)]
    if not asked or not run.stack.is_remote:
        return {}
    plan = plan_of(run.deployment_id)
    known, lists = _with_missing_inputs(run, plan, asked, known)
    contents = contents_of(step.parameters for step in asked)
    keys = {step.id: cache_key(run, plan, step, known, contents, lists) for step in asked}
    earlier = statements.remember_cache_keys({step: key for step, key in keys.items() if key})
    # A repair runs again what its plan said; its results are remembered all the same, being the newest.
    if not earlier or run.original_id is not None:
        return {}
    given = statements.versions_of(list(set(earlier.values())))
    specs = {step.id: plan.step(step.spec_index) for step in asked}
    return {step: given[source] for step, source in earlier.items() if _is_whole(given[source], specs[step])}


def foresee(run: PipelineRun, steps: Sequence[ReadyStep]) -> frozenset[str]:
    """The names of the steps that would not run, if such a run were started now; nothing is written.

    Of mapped steps and those with a condition nobody knows before.

    Two queries for each row of steps that stand behind nothing but cached ones, until none of a row is cached.
    """
    plan, known = plan_of(run.deployment_id), Versions()
    if not run.stack.is_remote:
        return frozenset()
    contents = contents_of(step.parameters for step in steps)
    cached, waiting = set[str](), [step for step in steps if _is_foreseeable(plan.step(step.index))]
    for _ in range(MOST_ROWS):
        row = [step for step in waiting if cached.issuperset(plan.step(step.index).upstream)]
        looked_at = {step.index for step in row}
        waiting = [step for step in waiting if step.index not in looked_at]
        keys = {
            step.name: cache_key(run, plan, step, known, contents)
            for step in row
            if step.settings.get("enable_cache", True)
        }
        earlier = statements.completed_with(list(keys.values()))
        given = statements.versions_of(list(set(earlier.values())))
        found = {name: given[earlier[key]] for name, key in keys.items() if key in earlier}
        reused = [step for step in row if _is_whole(found.get(step.name), plan.step(step.index))]
        if not reused:
            break
        cached |= {step.name for step in reused}
        known |= {(step.name, name): version for step in reused for name, version in found[step.name].items()}
    return frozenset(cached)


def _is_foreseeable(spec: StepSpec) -> bool:
    return not (spec.is_mapped or spec.conditions)


def cache_key(
    run: PipelineRun,
    plan: Plan,
    step: ReadyStep,
    known: Versions,
    contents: Mapping[str, Any],
    lists: Lists | None = None,
) -> str:
    """A hash of all that decides what the step gives out, and where that is kept; with a key, where a secret does.

    Nothing where a secret cannot be read any more.
    """
    spec = plan.step(step.spec_index)
    try:
        parameters = opened(step.parameters, run.pk) if plan.holds_secrets else step.parameters
    except SecretUnreadable:
        return ""
    decisive = {
        "version": KEY_VERSION,
        "project": str(run.project_id),
        "store": run.stack.artifact_store_uri,
        "source": spec.source,
        "code": spec.code_hash,
        "parameters": by_content(parameters, contents),
        "inputs": {source.parameter: _told(source, known, lists or {}) for source in sources_of(plan, step)},
        "outputs": [[output.name, output.artifact_name, output.type] for output in spec.outputs],
    }
    if spec.artifacts:
        decisive["artifacts"] = {name: str(version) for name, version in spec.artifacts.items()}
    if spec.name in plan.looked_at:  # what an older version has kept does not tell what has to be known of it
        decisive["told"] = True
    if run.is_restricted:  # what it gives out is for those alone who may see its template
        decisive["template"] = str(run.template_id)
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
    return keyed_hash(digest) if plan.holds_secrets else digest


def _is_whole(outputs: Mapping[str, uuid.UUID] | None, spec: StepSpec) -> bool:
    """Whether all that the step gives out is there. An artifact may have been deleted since: then it runs again."""
    return outputs is not None and outputs.keys() >= {output.name for output in spec.outputs}


def _told(source: Source, known: Versions, lists: Lists) -> str | list[str] | None:
    if source.mapped_index is not None and source.is_list:
        return [str(version) for version in lists.get((source.mapped_index, source.output), ())]
    if source.is_optional and (source.step, source.output) not in known:
        return None  # that step was skipped
    version = str(known[source.step, source.output])
    return version if source.element is None else f"{version}[{source.element}]"


def _with_missing_inputs(
    run: PipelineRun, plan: Plan, steps: Sequence[ReadyStep], known: Versions
) -> tuple[Versions, Lists]:
    sources = [source for step in steps for source in sources_of(plan, step)]
    mapped = {source.mapped_index for source in sources if source.mapped_index is not None}
    missing = {
        source.step
        for source in sources
        if source.mapped_index is None and (source.step, source.output) not in known
    }
    if not missing and not mapped:
        return known, {}
    found = statements.outputs_of(run.pk, sorted(missing), sorted(mapped))
    single = {source: artifact.id for source, artifact in found.single.items()}
    return known | single, {
        source: [artifact.id for artifact in artifacts] for source, artifacts in found.lists.items()
    }
