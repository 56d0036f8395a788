"""One file per command of ``callsheet``; each offers ``command``, and is imported only when that command is asked for."""
