"""The worker of this process, for what plugins import when they need it; ``None`` in a test of a plugin alone."""

from typing import Any

worker: Any = None
