"""The app in a browser: one page, and a machine of its own for everybody who opens it."""

VISITORS = 8
"""Machines at once, by default."""
