"""Command line and files to trial specs. Knows neither pytest nor the store."""
