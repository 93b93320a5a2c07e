"""Inputs that hurt: ties, ties one ulp away, range ends, signed zeros, subnormals, huge values, and the shapes nobody tries."""
