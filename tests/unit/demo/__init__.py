"""Unit tests of the demo's parts, without a cluster."""
