"""The version of Callsheet, read by the build and by the agent. Kept free of imports: the agent runs on Python 3.7."""

__version__ = "0.1.0"
