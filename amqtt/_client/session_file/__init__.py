"""The session of a client in a file."""
