"""What a lookup dictionary may hold: values, changes that must be seen, equal rebuilds, refusals.

One module per family. ``LOCKABLE`` maps a name to a maker; ``CHANGES`` a name to a maker of the
old and the new value and the path of the change; ``EQUAL`` a name to a maker of two values that
are the same; ``REFUSED`` a name to a maker and the path of the culprit.
"""
