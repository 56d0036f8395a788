"""A miniature Toolkit core, written for these tests from what real ones were seen to do; ``builder`` puts it where tests want it.

``core`` is what every version has, ``old`` and ``new`` are the two ways in which cores carry the libraries of others: below
``tank_vendor``, or in a zip under their real names, with a finder in front of everybody's imports. ``vendored`` are such libraries.
"""
