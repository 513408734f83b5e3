"""Configuration: loading and checking it."""
