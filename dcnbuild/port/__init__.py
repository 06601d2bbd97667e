"""Ports the sources of old CUDA extensions to the torch and CUDA of today.

tokens → layout, conditions → code     what a C++ text is made of
pattern, rows, rule, rules/            what is rewritten, as data
cpp, includes, helpers                 one C++ text
python/                                one Python text
project → output, report, command      a whole project, and `dcnbuild port`
toolchain → check                      --check
document                               docs/porting.md, made from the rules
"""
