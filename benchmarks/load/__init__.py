"""Whole-broker load: the generator, the brokers it is aimed at, and the report."""
