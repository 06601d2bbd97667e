"""`dcnbuild port --to stable`: rules from ATen to the LibTorch stable ABI.

They run on what the ordinary rules have made of a project. `project` applies them, `abi` says what a
release of torch offers, `facts` and `expressions` what a project's names mean; the other modules hold
the rules, a family each.
"""
