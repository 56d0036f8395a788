"""The event log of a site: adapters of the EventLog port."""
