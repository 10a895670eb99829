"""Outcomes to trials on disk, and back. Knows files; knows neither pytest nor processes."""
