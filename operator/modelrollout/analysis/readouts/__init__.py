"""Classical read-outs for people: the numbers that a reviewer expects beside a verdict.

Display only. Each holds for one look that was fixed beforehand; whoever looks again and again and
stops at a small p-value errs far more often than it says. Decisions come from `evidence`.

`proportions` and `tables` compare two rates, `strata` the same over strata; `means`, `ranks` and
`drift` compare values and histograms; `bayesian` reads posteriors. Differences are candidate minus
stable, ratios candidate over stable, everywhere. Intervals are two-sided at level 1 - alpha; one
end of the interval at 2 alpha is a one-sided bound at level 1 - alpha.
"""
