"""What the server tells about its things, as objects. What an answer left out is asked for when it is read."""

from zenweb.responses.artifacts import ArtifactVersionResponse
from zenweb.responses.catalog import DeploymentResponse, PipelineResponse, StackResponse
from zenweb.responses.entity import Entity
from zenweb.responses.facts import Judgement, LogPiece, PlannedStep, Preflight, RepairPlan, RunEvent
from zenweb.responses.page import EntityType, Page
from zenweb.responses.run_templates import RunTemplateResponse
from zenweb.responses.runs import PipelineRunResponse, StepRunResponse
from zenweb.responses.schedules import ScheduleResponse

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
