"""Fetches and builds the binaries of the cluster once, into the user's cache."""
