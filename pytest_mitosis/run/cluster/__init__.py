"""Clusters: what is the same whatever scheduler takes trials to their nodes."""
