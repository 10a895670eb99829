"""The trials browser: static pages in the trials folder that need neither server nor network.

``index.html`` is one page that shows tables, plots and comparisons of what the data files in
``_site`` hold. Reads folders, never imports experiments, never runs what a trial recorded.
"""

from pytest_mitosis.read.site.build import build_site

__all__ = ["build_site"]
