"""The operators in plain torch, to read, to test with and for second derivatives. Imports nothing else of dcnbuild."""
