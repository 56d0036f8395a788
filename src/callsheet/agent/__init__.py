"""The code inside a worker: standard library alone, Python 3.7 and later, nothing of Callsheet above it."""
