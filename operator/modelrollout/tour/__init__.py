"""The tour: the real decision and the real statistics on virtual time, without a cluster."""
