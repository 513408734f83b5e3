"""Random sequences of what clients do, checked against a model of the standard."""
