"""The router: an Envoy of the rollout's own, deployed and configured by the operator.

Objects (`objects`, `takeover`) are rendered for the apiserver, Envoy's resources (`clusters`,
`routes`, `listeners`) for the Envoys that ask for them. Both are functions of spec and persisted
decision, so that every replica of the operator gives the same answer (`snapshot`).
"""
