"""Ports the sources of old CUDA extensions to the torch and CUDA of today.

tokens → stream, layout → functions, code    what a C++ text is made of; conditions tell which #if is true
pattern, rule, rules/                        what is rewritten, as rows of YAML tables with functions beside them
lifetimes, changed_calls                     what is only named
cpp, includes, helpers                       one C++ text
python/                                      one Python text
ffi → ffi_project                            what takes the place of torch.utils.ffi
inline                                       C++ texts in Python sources
tree, project → result, output, report       a whole project, and `dcnbuild port`
toolchain, build_flags → check               --check
"""
