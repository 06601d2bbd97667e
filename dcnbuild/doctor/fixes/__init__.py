"""What a finding tells people to do: one vocabulary of commands for checks, log rules and builds.

A fix is made of arguments and not of text, and is written down for the machine and the shell in which it will be
pasted:

    set_env("CUDA_HOME", path).lines(Target.of(facts))  → ("export CUDA_HOME='/opt/my cuda'",)

Every value from outside is quoted. Where one cannot be, the line says in words what it would have done.
"""

from __future__ import annotations

# fmt: off
# isort: off
from dcnbuild.doctor.fixes.fix import by_hand
from dcnbuild.doctor.fixes.python import (
    INDEX, conda_install, dcnbuild, exchange, install_torch, on, pip, pip_install, rebuild, run,
)
from dcnbuild.doctor.fixes.shell import (
    again, ask_gpus, command, line_in, make_directory, prepend, remove, restart, say, set_constant,
    set_env, set_env_from, set_list, shell_lines, typed, unset_env, vs_shell,
)
from dcnbuild.doctor.fixes.system import (
    c_compiler, install_gcc, install_msvc, package_install, system_install, use_compiler, use_gcc,
)
from dcnbuild.doctor.fixes.toolkits import install_toolkit, toolkit_source, use_toolkit
