"""What every other package may use: locks, printing, YAML, the list of our own requirements. Imports nothing of dcnbuild."""
