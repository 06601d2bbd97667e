"""The operators in plain torch, for reading, for testing and for second derivatives. Nothing here looks at the rest of dcnbuild."""
