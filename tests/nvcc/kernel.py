"""A compiled kernel: its figures from ptxas and the disassembler, and its occupancy of a multiprocessor."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

#: Threads of every block: kThreads of csrc/deform_conv2d/cuda/plan.h.
THREADS = 256


@dataclass(frozen=True)
class Multiprocessor:
    """What one multiprocessor holds: threads, blocks, and bytes of shared memory. Each has 65,536 registers."""

    threads: int
    blocks: int
    shared: int


#: CUDA Programming Guide 13.0, "Technical Specifications per Compute Capability".
MULTIPROCESSORS = {
    "sm_75": Multiprocessor(1024, 16, 64 << 10),
    "sm_80": Multiprocessor(2048, 32, 164 << 10),
    "sm_86": Multiprocessor(1536, 16, 100 << 10),
    "sm_87": Multiprocessor(1536, 16, 164 << 10),
    "sm_89": Multiprocessor(1536, 24, 100 << 10),
    "sm_90": Multiprocessor(2048, 32, 228 << 10),
    "sm_100": Multiprocessor(2048, 32, 228 << 10),
    "sm_103": Multiprocessor(2048, 32, 228 << 10),
    "sm_120": Multiprocessor(1536, 24, 100 << 10),
    "sm_121": Multiprocessor(1536, 24, 100 << 10),
}
REGISTERS = 65_536
#: A warp is given registers in units of 256; a block reserves 1 KB of shared memory for the system (since sm_80).
REGISTER_UNIT = 256
RESERVED_SHARED = 1024


@dataclass(frozen=True)
class Kernel:
    """One kernel for one architecture.

    Attributes:
        name: without namespace and parameters, e.g. "gather_columns_kernel<float, float, 4>".
        registers: of a thread.
        stack, spills: bytes of a thread; spills are stores and loads together.
        shared: bytes of a block.
        instructions: how often each memory instruction stands in the code, e.g. {"LDG.E.128": 4}.
    """

    name: str
    architecture: str
    registers: int
    stack: int
    spills: int
    shared: int
    instructions: Counter[str] = field(default_factory=Counter)

    @property
    def base_name(self) -> str:
        return self.name.partition("<")[0]

    @property
    def arguments(self) -> list[str]:
        """Returns the template's arguments, e.g. ["float", "float", "4"]."""
        return re.findall(r"\w+", self.name.partition("<")[2])

    @property
    def loads_vectors(self) -> bool:
        """Whether this is a version for 16 bytes at once: the last argument is the width, and more than 1."""
        return self.arguments[-1].isdigit() and self.arguments[-1] != "1"

    @property
    def compute_capability(self) -> int:
        """Returns the number in an architecture's name: "sm_90" → 90."""
        return int(self.architecture.removeprefix("sm_"))

    def occupancy(self) -> float | None:
        """The share of the multiprocessor's threads that can be resident; None for an unknown architecture."""
        sm = MULTIPROCESSORS.get(self.architecture)
        if sm is None:
            return None
        per_warp = -(-self.registers * 32 // REGISTER_UNIT) * REGISTER_UNIT
        blocks = min(
            sm.blocks,
            sm.threads // THREADS,
            REGISTERS // per_warp // (THREADS // 32),
            sm.shared // (self.shared + RESERVED_SHARED),
        )
        return blocks * THREADS / sm.threads

    def count(self, *prefixes: str) -> int:
        """Counts the instructions that begin with one of the given prefixes."""
        return sum(n for name, n in self.instructions.items() if name.startswith(prefixes))

    def atomics(self) -> set[str]:
        """The kinds of its additions to global memory, without their scopes, e.g. {"REDG.E.ADD.F32x4"}."""
        atomic = (name for name in self.instructions if name.startswith(("RED.", "REDG.", "ATOM")))
        return {name.partition(".STRONG")[0] for name in atomic}


_PROPERTIES = re.compile(
    r"Compiling entry function '(?P<symbol>\w+)' for '(?P<architecture>\w+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)
_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)")
_MEMORY = re.compile(r"(LD|ST|RED|ATOM|SHFL|BAR)")


def parse_ptxas(text: str) -> dict[str, Kernel]:
    """The kernels in the output of `ptxas -v`, by their mangled names."""
    found = list(_PROPERTIES.finditer(text))
    names = demangle(match["symbol"] for match in found)
    kernels = {}
    for match, name in zip(found, names):
        shared = re.search(r"(\d+) bytes smem", match["rest"])
        kernels[match["symbol"]] = Kernel(
            name=name,
            architecture=match["architecture"],
            registers=int(match["registers"]),
            stack=int(match["stack"]),
            spills=int(match["stores"]) + int(match["loads"]),
            shared=int(shared[1]) if shared else 0,
        )
    return kernels


def parse_sass(text: str) -> dict[str, Counter[str]]:
    """The memory instructions of each function in the output of `cuobjdump -sass`, by its mangled name."""
    functions = {}
    for part in re.split(r"Function : ", text)[1:]:
        symbol, _, code = part.partition("\n")
        opcodes = (opcode for opcode in _INSTRUCTION.findall(code) if _MEMORY.match(opcode))
        functions[symbol.strip()] = Counter(opcodes)
    return functions


def demangle(symbols: Iterable[str]) -> list[str]:
    output = subprocess.run(["c++filt"], input="\n".join(symbols), capture_output=True, text=True, check=True).stdout
    short = (line.replace("dcnbuild::cuda::", "") for line in output.splitlines())
    return [re.sub(r"^void |\(.*$", "", line) for line in short]
