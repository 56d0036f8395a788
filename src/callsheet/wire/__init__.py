"""What the daemon and a worker both know: frames and marks. Python 3.7 and the standard library alone, as for the agent."""
