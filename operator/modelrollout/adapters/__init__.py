"""The only I/O: Kubernetes and metric sources."""
