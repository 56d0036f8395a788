"""The values of Callsheet: no behaviour beyond what a value knows about itself; no I/O, no clock."""
