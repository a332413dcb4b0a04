"""Measures Portway side by side with other WSGI servers: `python -m benchmarks --help`."""
