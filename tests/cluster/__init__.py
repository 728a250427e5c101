"""A real Kubernetes on one machine, without containers: what tests, the demo and benchmarks run on.

`python -m tests.cluster run -- CMD` starts it, runs CMD in it, and takes it down again.
Read README.md beside this file for what it is, how to use it, and what it does not exercise.
"""
