"""The node agent: what scheduler and kubelet do in a cluster, for the pods of this one machine.

Test equipment, kept small: `node` follows pods, `pod` leads one through its life, `container` runs
one process in its own namespaces, `volumes`, `variables` and `naming` give it what it finds there,
`probing`, `restarting` and `status` are pure.
"""
