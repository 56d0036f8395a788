"""The loops of a daemon, each with one step(): intake, dispatch, replay, heartbeat, maintenance."""
