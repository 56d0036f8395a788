"""From a site's PipelineConfiguration to a configuration on this disk."""

from .errors import TankBootstrapError
from .manager import ToolkitManager
