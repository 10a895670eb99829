"""Slurm: the way of trials to a cluster and back."""
