"""Shows, on a running cluster, that the node agent does not mislead: what it reports is what is.

Run by `python -m tests.cluster run -- python -m pytest tests/cluster/selftest -n 4`.
"""
