"""Counts in, verdicts out: the statistics of a rollout, pure and without I/O.

Begin with `evidence` (begin, advance once per look, judge) and `combining` (what several metrics
say together). `ratio` (F1) and `projected` hold the two e-processes of rates, `means` and
`normal_mixture` those of means, `limits` absolute limits, `split` the guard of the traffic split.
`spending` computes exact boundaries for rates with a deadline; nothing is decided by it yet.
"""
