"""The resource as types: what a user may write, and what the operator answers in status."""
