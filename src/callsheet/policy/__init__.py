"""What is decided, as pure functions on values: gaps, routing, lanes, retries. No clock, no I/O, no threads."""
