"""Probes: what this machine has, as plain dataclasses.

Only this package does I/O to find things out. Nothing here imports torch, decides anything or raises
because something is missing: what could not be read is `None` or absent.
"""
