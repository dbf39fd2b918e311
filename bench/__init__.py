"""Benchmarks: each prints its figures beside a yardstick's of the same run, never a verdict."""
