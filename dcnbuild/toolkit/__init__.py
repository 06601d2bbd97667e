"""Finds CUDA toolkits, and installs one without root, a container or conda."""
