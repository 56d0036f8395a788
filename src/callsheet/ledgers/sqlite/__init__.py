"""The ledger in one SQLite file: the embedded default, for one daemon on one machine.

Other processes, such as ``callsheet status`` and ``callsheet retry``, open the same file while the daemon runs.
"""

from callsheet.ledgers.sqlite.ledger import SqliteLedger

__all__ = ["SqliteLedger"]
