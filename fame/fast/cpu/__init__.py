"""The hot loops of training compiled for CPUs (Numba): one pass over memory where torch's separate operations take many.

Each has a plain torch twin elsewhere in `fame/`, which is the definition, and what tests compare with.
"""
