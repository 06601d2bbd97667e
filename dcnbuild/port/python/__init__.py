"""Ports Python files: setup.py, autograd Functions and what torch has dropped. Text is edited in
place where the syntax tree says, so that formatting and comments stay."""
