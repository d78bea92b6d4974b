"""How what can be run is read."""

from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.apps import apps
from django.db import models
from django.db.models import Exists, OuterRef, Q

from zenweb.accounts.actions import Action
from zenweb.accounts.querysets import role_grants
from zenweb.accounts.standing import standing_of
from zenweb.enums import Role

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from zenweb.accounts.models import User

NOTHING = Q(pk__in=())
Ids = models.QuerySet[Any] | list[UUID]


def run_templates() -> "RunTemplateQuerySet":
    found: RunTemplateQuerySet = apps.get_model("templates_app", "RunTemplate").objects.all()
    return found


def templates_seen_by(user: "User") -> models.QuerySet[Any]:
    """The ids of the templates that the user may see, for a query."""
    return run_templates().visible_to(user).values("pk")


def _deployments() -> "PipelineDeploymentQuerySet":
    found: PipelineDeploymentQuerySet = apps.get_model("templates_app", "PipelineDeployment").objects.all()
    return found


def documents_of(deployment: str = "") -> tuple[str, ...]:
    """What is large of a deployment, to be deferred; `deployment` is the relation that leads there."""
    path = f"{deployment}__" if deployment else ""
    return (f"{path}spec", f"{path}config_schema", f"{path}config_template")


# Of a deployment: each may weigh hundreds of kilobytes.
HEAVY = ("spec", "config_schema", "config_template")
TEMPLATE_DOCUMENTS = (
    *documents_of("latest_version__deployment"),
    "latest_version__curation",
    "latest_version__curation_notes",
)


class VisibleQuerySet(models.QuerySet[Any]):
    """Rows that a signed-in user may see: what belongs to templates that they may see, and what is beside them.

    Administrators see all. With a key that is bound to templates one sees what belongs to those, and nothing beside.
    """

    def visible_to(self, user: "User | AnonymousUser") -> Self:
        if not (user.is_authenticated and user.is_active):
            return self.none()
        return self if self.sees_all(user) else self.filter(self.seen_by(user))

    def sees_all(self, user: "User") -> bool:
        return user.is_superuser and not user.is_bound

    def seen_by(self, user: "User") -> Q:
        """What those see who do not see all."""
        seen = self.of_templates(templates_seen_by(user), user)
        return seen if user.is_bound else seen | self.beside_templates(user)

    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Q:
        """What belongs to these templates (a query for their ids)."""
        return Q(template__in=templates)

    def beside_templates(self, user: "User") -> Q:
        """What belongs to no template, and may be seen all the same."""
        return NOTHING


def projects_of(user: "User", least: Role) -> models.QuerySet[Any]:
    """The ids of the projects in which the user is at least this, for a query."""
    projects = apps.get_model("accounts", "Project").objects
    found: models.QuerySet[Any] = projects.with_role(user, least).values("pk")
    return found


def named_projects_of(user: "User", *least: Role) -> list[Ids]:
    """The same for several roles at once; the projects are named where they are not too many."""
    standing = None if user.is_superuser else standing_of(user)
    if standing is None:
        return [projects_of(user, each) for each in least]
    return [standing.projects_with(each) for each in least]


class WithRunsQuerySet(VisibleQuerySet):
    """Rows that runs point at. What was run lives in another app, so it is reached by the relation alone."""

    def with_latest_run(self, user: "User | AnonymousUser") -> Self:
        """With the newest that the user may see."""
        relation = self.model._meta.get_field("runs")
        visible = self.visible_runs(relation.related_model.objects.all(), user)
        runs = visible.filter(**{relation.field.name: OuterRef("pk")})
        latest = runs.order_by("-created")
        return self.annotate(
            latest_run_id=models.Subquery(latest.values("pk")[:1]),
            latest_run_status=models.Subquery(latest.values("status")[:1]),
            latest_run_user_id=models.Subquery(latest.values("user")[:1], output_field=models.UUIDField()),
        )

    def visible_runs(self, runs: Any, user: "User | AnonymousUser") -> Any:
        return runs.visible_to(user)


class PipelineQuerySet(WithRunsQuerySet):
    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Q:
        return Q(pk__in=_deployments().filter(template_versions__template__in=templates).values("pipeline"))

    def beside_templates(self, user: "User") -> Q:
        """One's own, those with a deployment that one may see, and where one is somebody, those with none at all."""
        deployments = _deployments()
        seen = deployments.filter(deployments.beside_templates(user)).values("pipeline")
        is_empty = ~Exists(deployments.filter(pipeline=OuterRef("pk")))
        return Q(user=user) | Q(pk__in=seen) | (Q(project__in=projects_of(user, Role.VIEWER)) & Q(is_empty))

    def search(self, text: str) -> Self:
        return self.filter(Q(name__icontains=text) | Q(description__icontains=text))


class StackQuerySet(VisibleQuerySet):
    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Q:
        """All: a client opens its stack before it looks for anything else."""
        return Q(pk__isnull=False)

    def remote(self) -> Self:
        return self.exclude(orchestrator="local")


class CodeArchiveQuerySet(VisibleQuerySet):
    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Q:
        found = _deployments().filter(template_versions__template__in=templates)
        return Q(pk__in=found.values("code_archive"))

    def beside_templates(self, user: "User") -> Q:
        """What is in deployments that one may see, and what one has uploaded."""
        deployments = _deployments()
        seen = Q(pk__in=deployments.filter(deployments.beside_templates(user)).values("code_archive"))
        own = self.model.uploaders.through.objects.filter(user=user)
        return seen | Q(pk__in=own.values("codearchive"))


class PipelineDeploymentQuerySet(VisibleQuerySet):
    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Q:
        versions = self.model._meta.get_field("template_versions").related_model.objects
        seen = versions.filter(template__in=templates).values("deployment")
        # In a derived one stand the values of runs.
        may_run = run_templates().with_role(user, Action.SEE_VALUES.least).values("pk")
        theirs = versions.filter(Q(template__in=templates), Q(template__in=may_run)).values("deployment")
        return Q(pk__in=seen) | Q(derived_from__in=theirs)

    def beside_templates(self, user: "User") -> Q:
        """One's own, and where one is somebody, those that no restricted template runs."""
        versions = self.model._meta.get_field("template_versions").related_model.objects
        restricted = versions.filter(template__is_restricted=True)
        is_open = (
            Q(is_restricted=False)
            & ~Q(Exists(restricted.filter(deployment=OuterRef("pk"))))
            & ~Q(Exists(restricted.filter(deployment=OuterRef("derived_from"))))
        )
        return (
            Q(user=user)
            | (Q(project__in=projects_of(user, Role.VIEWER)) & is_open & Q(derived_from=None))
            | (Q(project__in=projects_of(user, Action.SEE_VALUES.least)) & is_open)
            | Q(project__in=projects_of(user, Role.OWNER))
        )

    def frozen(self) -> Self:
        """Those that somebody has frozen: what runs were put together with meanwhile is seen at these runs."""
        return self.filter(derived_from=None)

    def with_relations(self) -> Self:
        return self.select_related("project", "user", "pipeline", "stack")

    def light(self) -> Self:
        """Without the documents, for many at once."""
        return self.defer(*HEAVY)


class RunTemplateQuerySet(WithRunsQuerySet):
    def visible_to(self, user: "User | AnonymousUser") -> Self:
        if not (user.is_authenticated and user.is_active):
            return self.none()
        seen = self.with_role(user, Role.VIEWER)
        return seen.filter(pk__in=user.bound_templates) if user.is_bound else seen

    def visible_runs(self, runs: Any, user: "User | AnonymousUser") -> Any:
        """All: who sees a template sees its runs."""
        return runs

    def with_role(self, user: "User", least: Role) -> Self:
        """Those on which the user is at least this; `role_on` says the same of one of them."""
        if user.is_superuser:
            return self
        standing = standing_of(user)
        if standing is None:
            given = role_grants().held_by(user).filter(role__gte=least, template__isnull=False)
            return self._with(
                user, given.values("template"), projects_of(user, least), projects_of(user, Role.OWNER)
            )
        return self._with(
            user,
            standing.templates_with(least),
            standing.projects_with(least),
            standing.projects_with(Role.OWNER),
        )

    def _with(self, user: "User", given: Ids, projects: Ids, owned: Ids) -> Self:
        in_projects = Q(is_restricted=False, project__in=projects) | Q(project__in=owned)
        return self.filter(Q(user=user) | Q(pk__in=given) | in_projects)

    def audited_by(self, user: "User") -> Self:
        """Those whose audit the user may see."""
        return self.visible_to(user).with_role(user, Action.GRANT.least)

    def runnable(self) -> Self:
        return self.filter(is_enabled=True)

    def listed(self) -> Self:
        return self.filter(is_hidden=False)

    def search(self, text: str) -> Self:
        return self.filter(
            Q(name__icontains=text)
            | Q(description__icontains=text)
            | Q(latest_version__deployment__pipeline__name__icontains=text)
        )

    def with_relations(self) -> Self:
        return self.select_related(
            "project", "user", "latest_version__deployment__pipeline", "latest_version__deployment__stack"
        )

    def by_pipeline(self) -> Self:
        """For a list under the names of pipelines, the newest first: the one a pipeline's own name would run."""
        relations = self.select_related(
            "latest_version__deployment__pipeline", "latest_version__deployment__stack"
        ).without_schemas()
        return relations.order_by("latest_version__deployment__pipeline__name", "-created")

    def for_launch(self) -> Self:
        """With what a run refers to and nothing else: each column costs the caller time."""
        return self.select_related(
            "project", "latest_version__deployment__pipeline", "latest_version__deployment__stack"
        ).without_schemas()

    def without_schemas(self) -> Self:
        """For lists: the large documents stay where they are."""
        return self.defer(*TEMPLATE_DOCUMENTS)

    def for_page(self) -> Self:
        """One template with the schema that its form is made of."""
        return self.select_related(
            "project", "user", "latest_version__deployment__pipeline", "latest_version__deployment__stack"
        ).defer("latest_version__deployment__config_template")


class PresetQuerySet(VisibleQuerySet):
    def visible_to(self, user: "User | AnonymousUser") -> Self:
        """Shared ones and one's own; nobody sees another's private presets, administrators neither."""
        return super().visible_to(user).filter(Q(is_shared=True) | Q(user_id=user.pk))

    def usable_by(self, user: "User | AnonymousUser") -> Self:
        """Those that a name stands for: one's own private preset hides a shared one of the same name."""
        private = self.model.objects.filter(
            template=OuterRef("template"),
            user_id=user.pk,
            is_shared=False,
            name=OuterRef("name"),
        )
        return self.visible_to(user).exclude(Q(is_shared=True) & Exists(private))

    def with_relations(self) -> Self:
        return self.select_related("user", "version")

    def to_judge(self) -> Self:
        """With what it takes to hold them against the version that they were made for."""
        return self.select_related("user", "version__deployment__stack").defer(
            *(f"version__deployment__{field}" for field in HEAVY)
        )
