"""Workers that have a project's Toolkit: when one is started, what it is given, and who makes room for whom."""
