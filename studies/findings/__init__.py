"""Findings: questions to the paper's comparison that the paper does not ask, each FAME (beta 0.5, single) beside its baseline.

They are registered apart from the paper's studies (studies/paper/registry.py, `FINDINGS`). One of them, `likeness`, tests a claim
(C10).
"""
