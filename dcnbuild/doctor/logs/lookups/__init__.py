"""What rules.yaml asks code for: each module's functions take a Hit, or texts of it, and return a text or an object."""
