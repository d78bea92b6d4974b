# Written by `make docs` from zenweb/responses/__init__.py: change that.
"""What the server tells about its things, as objects. What an answer left out is asked for when it is read."""

from zenweb.aio.responses.artifacts import ArtifactVersionResponse
from zenweb.aio.responses.catalog import DeploymentResponse, PipelineResponse, StackResponse
from zenweb.aio.responses.entity import Entity
from zenweb.aio.responses.page import EntityType, Page
from zenweb.aio.responses.run_templates import RunTemplateResponse
from zenweb.aio.responses.runs import PipelineRunResponse, StepRunResponse
from zenweb.aio.responses.schedules import ScheduleResponse
from zenweb.responses.facts import Judgement, LogPiece, PlannedStep, Preflight, RepairPlan, RunEvent

__all__ = [
    "ArtifactVersionResponse",
    "DeploymentResponse",
    "Entity",
    "EntityType",
    "Judgement",
    "LogPiece",
    "Page",
    "PipelineResponse",
    "PipelineRunResponse",
    "PlannedStep",
    "Preflight",
    "RepairPlan",
    "RunEvent",
    "RunTemplateResponse",
    "ScheduleResponse",
    "StackResponse",
    "StepRunResponse",
]
