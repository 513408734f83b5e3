"""Benchmarks: the broker under load, and the client beside other Python clients."""
