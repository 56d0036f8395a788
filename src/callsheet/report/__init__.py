"""What operators are shown: facts, trouble, wording and JSON. The command line and the page read it; it draws nothing."""
