"""Compile the hot loops of training for CPUs (Numba): one pass over memory where torch's separate operations take many."""
