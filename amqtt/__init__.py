"""MQTT broker and client for Python, driven by a C++ engine."""

from __future__ import annotations

__version__ = "0.12.0"
