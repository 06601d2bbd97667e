"""Helpers for every other package: printing, YAML, versions, our own requirements. Imports nothing else of dcnbuild."""
