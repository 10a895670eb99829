"""The commands of ``pytest-mitosis``, one module each; all they know is how to ask and to print."""
