"""CUDA toolkits: which there are, and one more without root, a container or conda."""
