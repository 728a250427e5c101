"""Tests of the benchmark of the statistics: its figures can be believed."""
