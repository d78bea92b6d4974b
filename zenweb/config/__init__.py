"""A pipeline as plain data: its spec, its schema, its code, and the configuration of its runs."""

from zenweb.config.zenml_settings import DockerSettings, ResourceSettings

__all__ = ["DockerSettings", "ResourceSettings"]
