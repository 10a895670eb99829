"""Trials to people: data frames and the command line. Reads folders, never imports experiments."""
