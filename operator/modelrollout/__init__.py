"""Progressive delivery of machine-learning models, judged by sound sequential statistics."""
