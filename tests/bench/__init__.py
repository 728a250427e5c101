"""Benchmarks of the operator on the local cluster; `make bench` writes docs/benchmarks.md."""
