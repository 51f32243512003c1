"""Questions that the paper does not ask; what had been seen when each was declared: docs/notebook/version-3/README.md."""
