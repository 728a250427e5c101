"""Counts in, verdicts out: the statistics of a rollout, pure and without I/O.

Begin with `evidence` (begin, advance once per look, judge) and `combining` (what several metrics
say together). What decides about harm in rates is exact conditional spending (`spending`), or the
e-process F1 (`ratio`) where the service is known to be noisy (`noise`, learnt by `calibrating`), or
where nothing is planned. `projected` shows rates to be within a margin, or beyond it; `means` and
`normal_mixture` do so for means, `limits` for absolute limits; `split` guards the traffic split and
`risk` bounds what a next weight may cost.

For other designs: `paired` (shadow), `clusters` and `assignment` (users as units), `histograms`,
`moments` and `bands` (whole distributions), `multiplicity`. `readouts` holds the classical figures,
for display only: nothing is decided by them.
"""
