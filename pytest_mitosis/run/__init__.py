"""Jobs to outcomes: the notebook of a trial, and the process of its own that runs it."""
