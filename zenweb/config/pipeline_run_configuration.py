"""Where ZenML's users import it from."""

from zenweb.config.run_configuration import PipelineRunConfiguration

__all__ = ["PipelineRunConfiguration"]
