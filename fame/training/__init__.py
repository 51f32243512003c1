"""Pretraining: one optimisation step, the loop around it, its optimiser, precision and processes."""
