"""How what can be run is read."""

from typing import TYPE_CHECKING, Any, Self

from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from zenweb.accounts.models import User


def documents_of(deployment: str = "") -> tuple[str, ...]:
    """What is large of a deployment, to be deferred; `deployment` is the relation that leads there."""
    path = f"{deployment}__" if deployment else ""
    return (f"{path}spec", f"{path}config_schema", f"{path}config_template")


TEMPLATE_DOCUMENTS = (
    *documents_of("latest_version__deployment"),
    "latest_version__curation",
    "latest_version__curation_notes",
)


class VisibleQuerySet(models.QuerySet[Any]):
    """Rows that a signed-in user may see."""

    def visible_to(self, user: "User | AnonymousUser") -> Self:
        """All; with a key that is bound to templates, what `of_templates` says."""
        if not (user.is_authenticated and user.is_active):
            return self.none()
        return self.of_templates(user.bound_templates, user) if user.is_bound else self

    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Self:
        """What belongs to these templates (a query for their ids), for who uses a key that is bound to them."""
        return self.filter(template__in=templates)


class WithRunsQuerySet(VisibleQuerySet):
    """Rows that runs point at. What was run lives in another app, so it is reached by the relation alone."""

    def with_latest_run(self, user: "User | AnonymousUser") -> Self:
        """With the newest that the user may see."""
        relation = self.model._meta.get_field("runs")
        visible = relation.related_model.objects.visible_to(user)
        runs = visible.filter(**{relation.field.name: models.OuterRef("pk")})
        latest = runs.order_by("-created")
        return self.annotate(
            latest_run_id=models.Subquery(latest.values("pk")[:1]),
            latest_run_status=models.Subquery(latest.values("status")[:1]),
        )


class PipelineQuerySet(WithRunsQuerySet):
    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Self:
        versions = self.model._meta.get_field("deployments").related_model.objects.of_templates(
            templates, user
        )
        return self.filter(pk__in=versions.values("pipeline"))

    def search(self, text: str) -> Self:
        return self.filter(models.Q(name__icontains=text) | models.Q(description__icontains=text))


class StackQuerySet(VisibleQuerySet):
    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Self:
        """All: a client opens its stack before it looks for anything else."""
        return self

    def remote(self) -> Self:
        return self.exclude(orchestrator="local")


class CodeArchiveQuerySet(VisibleQuerySet):
    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Self:
        deployments = self.model._meta.get_field("deployments").related_model.objects
        return self.filter(pk__in=deployments.of_templates(templates, user).values("code_archive"))


class PipelineDeploymentQuerySet(VisibleQuerySet):
    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Self:
        versions = self.model._meta.get_field("template_versions").related_model.objects
        return self.filter(pk__in=versions.filter(template__in=templates).values("deployment"))

    def with_relations(self) -> Self:
        return self.select_related("project", "user", "pipeline", "stack")


class RunTemplateQuerySet(WithRunsQuerySet):
    def audited_by(self, user: "User") -> Self:
        """Those whose audit the user may see: their owner."""
        return self.visible_to(user).filter(user=user)

    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Self:
        return self.filter(pk__in=templates)

    def runnable(self) -> Self:
        return self.filter(is_enabled=True)

    def listed(self) -> Self:
        return self.filter(is_hidden=False)

    def search(self, text: str) -> Self:
        return self.filter(
            models.Q(name__icontains=text)
            | models.Q(description__icontains=text)
            | models.Q(latest_version__deployment__pipeline__name__icontains=text)
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
            "latest_version__deployment__pipeline", "latest_version__deployment__stack"
        ).without_schemas()

    def without_schemas(self) -> Self:
        """For lists: the large documents stay where they are."""
        return self.defer(*TEMPLATE_DOCUMENTS)

    def for_page(self) -> Self:
        """One template with the schema that its form is made of."""
        return self.select_related(
            "user", "latest_version__deployment__pipeline", "latest_version__deployment__stack"
        ).defer("latest_version__deployment__config_template")


class PresetQuerySet(VisibleQuerySet):
    def visible_to(self, user: "User | AnonymousUser") -> Self:
        """Shared ones and one's own; nobody sees another's private presets, administrators neither."""
        return super().visible_to(user).filter(models.Q(is_shared=True) | models.Q(user_id=user.pk))

    def usable_by(self, user: "User | AnonymousUser") -> Self:
        """Those that a name stands for: one's own private preset hides a shared one of the same name."""
        private = self.model.objects.filter(
            template=models.OuterRef("template"),
            user_id=user.pk,
            is_shared=False,
            name=models.OuterRef("name"),
        )
        return self.visible_to(user).exclude(models.Q(is_shared=True) & models.Exists(private))

    def with_relations(self) -> Self:
        return self.select_related("user", "version")
