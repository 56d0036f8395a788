"""Runtimes: from a project to the configuration, core and interpreter that its Toolkit has. Nothing here imports ``sgtk``."""
