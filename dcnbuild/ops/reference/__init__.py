"""The operators in plain torch, a file each: the oracle of the tests, and what runs where nothing can be compiled."""
