"""Installs the pair's torch into a row's environment, finds the compilers, asks the doctor, and runs programs there.

nox has made the environment, and its interpreter runs this module.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dcnbuild.builder.failure import read_findings
from dcnbuild.doctor.checks import preflight
from dcnbuild.doctor.logs import read_log
from dcnbuild.machine import files
from dcnbuild.machine.collect import collect
from dcnbuild.machine.facts import Toolkit
from dcnbuild.machine.torch_install import read_torch
from dcnbuild.toolkit import install
from tools.build_matrix.pairs import Pair

#: The caller's variables that would change the build; the row sets its own.
_CHANGES_BUILDS = {
    *("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH", "CUDA_HOME", "CUDA_PATH"),
    *("NVCC_CCBIN", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS", "CUDAHOSTCXX"),
    *("TORCH_CUDA_ARCH_LIST", "PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX"),
}


class NotTried(Exception):
    """Something is missing that is not a fault of the library; the text names it."""


class Failed(Exception):
    """The row failed; `finding` is the doctor's finding, if there is one."""

    def __init__(self, reason: str, finding: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.finding = finding


@dataclass(frozen=True)
class Outcome:
    """The result of a program: its status, its output, and the CPU seconds of it and all its children."""

    status: int
    cpu_seconds: float
    text: str


class Environment:
    """One row's environment.

    Args:
        pair: the row.
        directory: for logs, the JIT cache and pip's constraints.
        env: the variables of the caller.
        at_hand: site-packages directories. If one has the pair's torch, the row uses it and downloads none.

    `toolkit` is the CUDA toolkit that compiles, or None for a torch without CUDA.
    """

    def __init__(self, pair: Pair, directory: Path, env: Mapping[str, str], at_hand: Sequence[Path] = ()) -> None:
        self.pair = pair
        self.directory = directory
        self.toolkit: Toolkit | None = None
        self.cache = directory / "cache"
        self.site = Path(sysconfig.get_path("purelib"))  # that has the torch
        self._at_hand = at_hand
        self._caller = env
        self._env = {
            name: value
            for name, value in env.items()
            if name not in _CHANGES_BUILDS and not name.startswith("DCNBUILD_")
        }
        self._env |= {"DCNBUILD_CACHE": str(self.cache), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def make(self) -> None:
        """Makes it. Raises NotTried if something is missing, Failed for a torch or compiler that does not fit."""
        self._install_torch()
        self._find_compilers()
        self._ask_the_doctor()

    def _install_torch(self) -> None:
        pair = self.pair
        for site in self._at_hand:
            if self._is_wanted(site) and f"python{pair.python}" in site.parts:
                say(f"uses the torch in {site}")
                (self.site / "torch_at_hand.pth").write_text(f"{site}\n", encoding="utf-8")
                self.site = site
                return
        version = pair.torch if pair.on_pypi else f"{pair.torch}+{pair.variant}"
        wanted = [f"torch=={version}", *pair.pins]
        if pair.torchvision:
            wanted.append(f"torchvision=={pair.torchvision}")
        what = f"installing torch {version}, about {pair.download} MB"
        outcome, where = self.pip(what, wanted), "on PyPI"
        if outcome.status != 0 and not pair.on_pypi:
            where = f"on the PyTorch wheel index ({pair.variant})"
            url = f"https://download.pytorch.org/whl/{pair.variant}"
            arguments = [*wanted, "--retries=1", "--extra-index-url", url]
            outcome = self.pip(f"{what} from the PyTorch wheel index", arguments)
        if outcome.status != 0:
            why = pip_error(outcome.text)
            raise NotTried(f"pip got no torch {version} for Python {pair.python} {where}: {why}")
        if not self._is_wanted(self.site):
            raise Failed(f"the environment has {read_torch(self.site)}, the row names {pair.id}")

    def _is_wanted(self, site: Path) -> bool:
        torch = read_torch(site)
        wanted = (self.pair.torch, self.pair.cuda)
        return torch is not None and (torch.version.partition("+")[0], torch.cuda) == wanted

    def _find_compilers(self) -> None:
        pair = self.pair
        self._env["DCNBUILD_CUDA"] = "on" if pair.toolkit else "off"
        if pair.toolkit is None:
            return
        env = self._caller
        self.toolkit = install.find(pair.toolkit, env) or install.install(pair.toolkit, env, say)
        root = self.toolkit.root
        self._env["CUDA_HOME"] = str(root)
        self._env["PATH"] = f"{root / 'bin'}:{self._env.get('PATH', os.defpath)}"
        if pair.gcc is None:
            return
        for variable, name in (("CC", f"gcc-{pair.gcc}"), ("CXX", f"g++-{pair.gcc}")):
            beside = root / "host/usr/bin" / name
            found = beside if beside.is_file() else next(files.on_path(env, name), None)
            if found is None:
                raise NotTried(f"no {name} on PATH and none in {root / 'host'}")
            self._env[variable] = str(found)

    def _ask_the_doctor(self) -> None:
        """Judges the row's own toolkit and compiler, since a build would silently take another that fits."""
        if self.toolkit is None:
            return
        facts = collect(self._env)
        own = tuple(item for item in facts.toolkits if item.root == self.toolkit.root)
        judged = replace(facts, torch=read_torch(self.site), toolkits=own)
        for finding in preflight(judged, wants_cuda=True):
            if finding.severity == "error":
                raise Failed(f"{finding.title}: {finding.cause}", finding.to_json())

    # --- running programs ---

    def run(self, what: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Outcome:
        """Runs a program with the row's variables, writes its output to a log, and prints the time it took."""
        say(f"{what} …")
        name = re.sub("[^a-z0-9]+", "-", what.lower())[:40].strip("-")
        log = self.directory / f"{name}.log"
        started, before = time.monotonic(), _cpu_seconds_of_children()
        with log.open("wb") as file:
            file.write(f"$ {' '.join(map(str, command))}\n".encode())
            file.flush()
            status = subprocess.run(
                [*map(str, command)],
                cwd=self.directory,
                env={**self._env, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            ).returncode
        verdict = "done" if status == 0 else f"ended with {status}"
        say(f"{what}: {verdict} after {time.monotonic() - started:.0f} s")
        text = log.read_text(encoding="utf-8", errors="replace")
        return Outcome(status, round(_cpu_seconds_of_children() - before, 1), text)

    def pip(self, what: str, arguments: Sequence[str]) -> Outcome:
        """Runs pip install. It keeps the pair's versions, and keeps no downloads, since they are large."""
        constraints = self.directory / "constraints.txt"
        lines = (*self.pair.pins, f"torch=={self.pair.torch}")
        constraints.write_text("\n".join(lines) + "\n", encoding="utf-8")
        options = ("--no-cache-dir", "--progress-bar=off", "--constraint", str(constraints))
        command = (sys.executable, "-I", "-m", "pip", "install", *options, *arguments)
        return self.run(what, command)


def say(text: str) -> None:
    """Prints what a row is doing."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def last_line(text: str) -> str:
    """Returns the last line that is not blank."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def pip_error(text: str) -> str:
    """Returns pip's last error line; adds whether pip could reach the index, which that line leaves out."""
    errors = [line for line in text.splitlines() if line.startswith("ERROR:")]
    error = errors[-1].removeprefix("ERROR: ") if errors else last_line(text)
    unreached = re.search(r"after connection broken by '(\w+)", text)
    return f"{error} (an index could not be reached: {unreached[1]})" if unreached else error


def build_failed(what: str, outcome: Outcome, *left: Path) -> Failed:
    """Returns a build's failure, with the finding in the first of the files `left`, or else the doctor's from the
    log.
    """
    for path in left:
        for finding in read_findings(path):
            return Failed(f"{what}: {finding['title']}: {finding['cause']}", finding)
    for read in read_log(outcome.text):
        return Failed(f"{what}: {read.title}: {read.cause}", read.to_json())
    return Failed(f"{what}: {pip_error(outcome.text)}")
