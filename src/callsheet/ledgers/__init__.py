"""The durable record: one sub-package per database, each an adapter of ``ports.Ledger``."""
