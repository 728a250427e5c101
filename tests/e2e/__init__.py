"""Tests on a whole cluster: the local one, or any that KUBECONFIG names."""
