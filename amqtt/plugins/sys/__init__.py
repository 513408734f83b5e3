"""Plugins about the broker itself."""
