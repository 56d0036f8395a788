"""Toolkit inside a worker: opening a project's configuration, preparing a distributed one, carrying values, the in-process swap.

Nothing here imports ``sgtk`` by name: which one that is depends on what was put on ``sys.path`` before.
"""
