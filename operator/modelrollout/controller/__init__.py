"""The kopf shell and the entry of the operator: watch, queue, lead, reconcile, record."""
