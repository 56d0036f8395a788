"""Where plugins run: adapters of the Executor port, and the archive and processes they are made of."""
