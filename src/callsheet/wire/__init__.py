"""What the daemon and a worker both know, such as frames. Python 3.7 and the standard library alone, as for the agent."""
