"""Findings: questions to the paper's comparison that the paper does not ask, each FAME (beta 0.5, single) beside its baseline.

The comment above each says what would be an answer. What had been seen when it was declared: docs/notebook/version-3/README.md.
"""
