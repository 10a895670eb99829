"""PBS, LSF, Flux and others, by way of PSI/J (the package psij-python)."""
