"""A/B tests: several candidates at once, each for users of its own; the target stays stable.

Each arm is looked at as if it were the candidate of a rollout of its own (`arms`), so that guards,
evidence and words are those of every rollout. What differs: nothing advances, the goal is judged
once, at the end, with users as units (`users`), and the outcome is a report (`reporting`).
"""
