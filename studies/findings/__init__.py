"""Findings: questions to the paper's comparison that the paper does not ask, each FAME (beta 0.5, single) beside its baseline.

They are registered apart from the paper's studies (studies/paper/registry.py, `FINDINGS`). A file holds those that share an idea;
the comment above each says what would be an answer. What had been seen when it was declared: docs/notebook/version-3/README.md.
"""
