"""Benchmarks: `python -m benchmarks` writes one JSON file; every peer is measured in the same run."""
