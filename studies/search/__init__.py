"""Search fields of the method, beta above all, with Optuna."""
