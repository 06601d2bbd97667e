"""Findings about a machine's CUDA set-up or a build log: pure functions over facts, and the report."""
