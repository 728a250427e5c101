"""The Helm chart and the Dockerfile, as far as they can be checked without a cluster."""
