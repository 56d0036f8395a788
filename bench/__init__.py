"""Benchmarks: Callsheet beside a checkout of shotgunEvents, on the same pretend site, in one run. ``make bench REFERENCE=…``."""
