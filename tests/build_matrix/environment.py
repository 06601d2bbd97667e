"""A row's environment: a Python, the torch that the row names, the compilers; and running programs in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from build_matrix import checks, processes
from build_matrix.pythons import find_python
from build_matrix.settings import Settings
from dcnbuild.doctor.preflight import preflight
from dcnbuild.machine import files
from dcnbuild.machine.collect import collect
from dcnbuild.machine.facts import Toolkit
from dcnbuild.machine.torch_install import read_torch
from dcnbuild.matrix import Pair
from dcnbuild.toolkit import install

#: What torch and a build take on disk at the worst, in bytes.
ROOM = 12 << 30

LOOK = Path(__file__).with_name("look.py")


class NotTried(Exception):
    """Something that is no fault of the library's is missing; the text says what."""


class Failed(Exception):
    """The row failed; `finding` is the doctor's, where there is one."""

    def __init__(self, reason: str, finding: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.finding = finding


class Environment:
    """One row's environment.

    Attributes:
        toolkit: the CUDA toolkit that compiles; None for a torch without CUDA.
        facts: what `look.py torch` said of the torch that was installed.
        cpu_seconds: of every program that has run here.
    """

    def __init__(
        self, pair: Pair, settings: Settings, directory: Path, say: Callable[[str], None]
    ) -> None:
        self.pair = pair
        self.settings = settings
        self.directory = directory
        self.python = directory / "env/bin/python"
        self.toolkit: Toolkit | None = None
        self.facts: dict[str, Any] = {}
        self.cpu_seconds = 0.0
        self._say = say
        self._env: dict[str, str] = {}

    def make(self) -> None:
        """Makes it. Raises NotTried where something is missing, Failed if torch is not what the row names."""
        pair = self.pair
        python = find_python(pair.python, self.settings.env)
        if python is None:
            raise NotTried(f"no Python {pair.python} on this machine")
        room = shutil.disk_usage(self.directory).free
        if room < ROOM:
            raise NotTried(f"{room >> 30} GB free in {self.directory}, needed {ROOM >> 30}")
        self._env = {
            name: value
            for name, value in self.settings.env.items()
            if name not in _CHANGES_BUILDS and not name.startswith("DCNBUILD_")
        }
        self._env |= {
            "DCNBUILD_CACHE": str(self.directory / "cache"),
            "MAX_JOBS": str(self.settings.compile_jobs),
            "OMP_NUM_THREADS": str(self.settings.compile_jobs),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        self._command("making the environment", python, "-m", "venv", self.directory / "env")
        self._install_torch()
        self._check_torch()
        self._find_compilers()
        self._ask_the_doctor()

    def _install_torch(self) -> None:
        pair = self.pair
        at_hand = self._torch_at_hand()
        if at_hand is not None:
            self._say(f"uses the torch in {at_hand}")
            site = self.directory / f"env/lib/python{pair.python}/site-packages"
            (site / "torch_at_hand.pth").write_text(f"{at_hand}\n", encoding="utf-8")
            return
        version = pair.torch if pair.index == "pypi" else f"{pair.torch}+{pair.index}"
        wanted = [f"torch=={version}", *pair.pins]
        if pair.torchvision:
            wanted.append(f"torchvision=={pair.torchvision}")
        what = f"installing torch {version}, about {pair.download} MB"
        outcome = self.pip(what, wanted)
        if outcome.status != 0 and pair.index != "pypi":
            url = f"https://download.pytorch.org/whl/{pair.index}"
            arguments = [*wanted, "--retries=1", "--extra-index-url", url]
            outcome = self.pip(f"{what} from the PyTorch wheel index", arguments)
        if outcome.status != 0:
            where = (
                "on PyPI" if pair.index == "pypi" else f"on the PyTorch wheel index ({pair.index})"
            )
            raise NotTried(
                f"pip got no torch {version} for Python {pair.python} {where}: {pip_error(outcome.text)}"
            )

    def _torch_at_hand(self) -> Path | None:
        """The site-packages of an environment that has this very torch already, for this Python."""
        for site in self.settings.at_hand:
            torch = read_torch(site)
            fits = (
                torch is not None
                and torch.version.partition("+")[0] == self.pair.torch
                and torch.cuda == self.pair.cuda
                and f"python{self.pair.python}" in site.parts
            )
            if fits:
                return site
        return None

    def _check_torch(self) -> None:
        facts = self.facts = self.look("torch")
        got = (facts["torch"].partition("+")[0], facts["cuda"])
        if got != (self.pair.torch, self.pair.cuda):
            raise Failed(
                f"the environment has torch {facts['torch']} with CUDA {facts['cuda']}, the row names "
                f"torch {self.pair.torch} with CUDA {self.pair.cuda}"
            )

    def _find_compilers(self) -> None:
        pair = self.pair
        if pair.toolkit is None:
            self._env["DCNBUILD_CUDA"] = "off"
            return
        self._env["DCNBUILD_CUDA"] = "on"
        env = self.settings.env
        self.toolkit = install.find(pair.toolkit, env) or install.install(
            pair.toolkit, env, self._say
        )
        root = self.toolkit.root
        self._env["CUDA_HOME"] = str(root)
        self._env["PATH"] = f"{root / 'bin'}:{self._env.get('PATH', os.defpath)}"
        if pair.gcc is None:
            return
        for variable, name in (("CC", "gcc"), ("CXX", "g++")):
            name = f"{name}-{pair.gcc}"
            beside = root / "host/usr/bin" / name
            found = beside if beside.is_file() else next(files.on_path(env, name), None)
            if found is None:
                raise NotTried(f"no {name} on PATH and none in {root / 'host'}")
            self._env[variable] = str(found)

    def _ask_the_doctor(self) -> None:
        """Judges the row's own toolkit and compiler: a build would take another one that fits, if there is any."""
        if self.toolkit is None:
            return
        facts = collect(self._env, prefix=self.directory / "env")
        torch = read_torch(Path(self.facts["site"]))
        own = tuple(item for item in facts.toolkits if item.root == self.toolkit.root)
        for finding in preflight(replace(facts, torch=torch, toolkits=own), wants_cuda=True):
            if finding.severity == "error":
                raise Failed(f"{finding.title}: {finding.cause}", finding.to_json())

    # --- running programs ---

    def run(
        self, what: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None
    ) -> processes.Outcome:
        """Runs a program with the row's variables and says how long it took."""
        started = time.monotonic()
        self._say(f"{what} …")
        log = self.directory / f"{re.sub('[^a-z0-9]+', '-', what.lower())[:40].strip('-')}.log"
        outcome = processes.run(
            command, self.directory, {**self._env, **(env or {})}, log, self.directory
        )
        self.cpu_seconds += outcome.cpu_seconds
        verdict = "done" if outcome.status == 0 else f"ended with {outcome.status}"
        self._say(f"{what}: {verdict} after {time.monotonic() - started:.0f} s")
        return outcome

    def _command(self, what: str, *command: str | Path) -> None:
        outcome = self.run(what, command)
        if outcome.status != 0:
            raise NotTried(f"{what} failed: {last_line(outcome.text)}")

    def pip(
        self, what: str, arguments: Sequence[str], env: Mapping[str, str] | None = None
    ) -> processes.Outcome:
        """pip install. What the row names stays as it is; downloads are not kept, disk being what is short."""
        constraints = self.directory / "constraints.txt"
        lines = list(self.pair.pins)
        if self.facts:
            lines.append(f"torch=={self.pair.torch}")
        constraints.write_text("\n".join(lines) + "\n", encoding="utf-8")
        options = ("--no-cache-dir", "--progress-bar=off", "--constraint", str(constraints))
        return self.run(
            what, [*(self.python, "-I", "-m", "pip", "install"), *options, *arguments], env
        )

    def pip_checked(self, what: str, arguments: Sequence[str]) -> None:
        """pip install that has to succeed. Raises Failed with pip's error."""
        outcome = self.pip(what, arguments)
        if outcome.status != 0:
            raise Failed(f"{what} failed: {pip_error(outcome.text)}")

    def look(self, *words: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What look.py says. Raises Failed if it fails."""
        what = f"looking at {' '.join(words)}"
        outcome = self.run(what, [self.python, "-I", LOOK, *words], env)
        if outcome.status != 0:
            raise build_failed(f"{what} failed: {last_line(outcome.text)}", outcome.text)
        said = [line for line in outcome.text.splitlines() if line.startswith("{")]
        document: dict[str, Any] = json.loads(said[-1])
        return document


#: Variables of the caller's that would change what is built; the row sets its own.
_CHANGES_BUILDS = {
    *("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH", "CUDA_HOME", "CUDA_PATH"),
    *("NVCC_CCBIN", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS", "CUDAHOSTCXX"),
    *("TORCH_CUDA_ARCH_LIST", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX"),
}


def last_line(text: str) -> str:
    """The last line that is not blank."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def pip_error(text: str) -> str:
    """pip's own last word on why it failed; and whether it could ask, which that word leaves out."""
    errors = [line for line in text.splitlines() if line.startswith("ERROR:")]
    error = errors[-1].removeprefix("ERROR: ") if errors else last_line(text)
    unreached = re.search(r"after connection broken by '(\w+)", text)
    return f"{error} (an index could not be reached: {unreached[1]})" if unreached else error


def build_failed(what: str, text: str) -> Failed:
    """The failure of a build, with the doctor's finding about its output."""
    finding = checks.finding_of(text)
    return Failed(f"{what}: {finding['title']}: {finding['cause']}", finding)
