"""Fuzzes the code that reads strangers' files, and the checks of the operators' arguments.

    python -m tools.fuzz doctor_log -max_total_time=180

runs one target with Atheris (`pip install atheris`), which follows the covered lines. The other arguments are
libFuzzer's. The tests run each target for a moment with hypothesis. A target takes any bytes, and raises if something
is wrong.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Bytes:
    """Makes choices from bytes, one after the other; behind their end it reads zeros."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def below(self, number: int) -> int:
        """Returns a number from 0 to number − 1."""
        byte = self.data[self.at] if self.at < len(self.data) else 0
        self.at += 1
        return byte % number

    def of(self, choices: Any) -> Any:
        """Returns one of the choices."""
        return choices[self.below(len(choices))]


def doctor_log(data: bytes) -> None:
    """Checks that any log gives findings of plain lines."""
    from dcnbuild.doctor.logs import read_log

    for finding in read_log(data):
        for text in (finding.title, finding.cause, *finding.fix):
            if "\n" in text or "\x1b" in text:
                raise AssertionError(f"{finding.id}: {text!r} is not one plain line")


def port(data: bytes) -> None:
    """Checks that any project is ported, or named as not read."""
    from dcnbuild.port.project import port_project

    names = ("a.cu", "b.cpp", "c.h", "setup.py", "d.py")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in zip(names, data.split(b"\xff\x00")):
            Path(folder, name).write_bytes(content)
        port_project(Path(folder))


def matrix(data: bytes) -> None:
    """Checks that a list of pairs is read, or refused by an error that names the file."""
    from tools.build_matrix.pairs import load

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "matrix.yaml")
        path.write_bytes(data if b"pairs:" in data else b"pairs:\n- " + data)
        try:
            load(path)
        except ValueError as error:
            if str(path) not in str(error):
                raise AssertionError(f"no file is named: {error}") from error


def audit(data: bytes) -> None:
    """Checks that a damaged library is read as far as it goes, or refused by an error."""
    from dcnbuild.audit.bounds import bounds
    from dcnbuild.audit.read import read_package

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.so")
        path.write_bytes(b"\x7fELF\x02\x01" + data)
        try:
            bounds(read_package(str(path), None, {}))
        except ValueError as error:
            if "no 64-bit Linux library" not in str(error):
                raise


def operators(data: bytes) -> None:
    """Checks that a raw operator computes, or refuses before it touches memory."""
    import torch

    import dcnbuild.ops.operators  # noqa: F401  registers them

    choose = Bytes(data)
    name, arguments = choose.of(list(calls().items()))
    arguments = list(arguments)
    try:  # torch refuses some changes itself, such as flattening what was made sparse
        for _ in range(choose.below(4)):
            i = choose.below(len(arguments))
            arguments[i] = _changed(arguments[i], choose)
        getattr(torch.ops.dcnbuild, name)(*arguments)
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        if re.search(r"internal assert|segfault", str(error), re.IGNORECASE):
            raise


_NUMBERS = (-1, 0, 1, 2, 3, 7, -(2**31), 2**31, 2**40, 2**62, -(2**63))


def calls() -> dict[str, tuple[Any, ...]]:
    """Returns valid arguments of each operator."""
    import torch

    torch.manual_seed(0)
    r, boxes = torch.rand, torch.tensor([[0, 0, 0, 4, 4], [1, 1, 1, 3, 3.0]])
    conv = ([1, 1], [1, 1], [1, 1], 1, 2)
    image, offset, mask, weight = r(2, 4, 5, 6), r(2, 36, 5, 6), r(2, 18, 5, 6), r(6, 4, 3, 3)
    value, places, weights = r(2, 16, 2, 4), r(2, 3, 2, 2, 2, 2), r(2, 3, 2, 2, 2)
    sizes, roi, psroi = [3, 4, 2, 2], ([3, 3], 0.5, 2, 0.1), (0.5, 2, 3, 3, 2, 0.1)
    window = (r(2, 5, 6, 2, 3), r(2, 5, 6, 2, 9, 2), r(2, 5, 6, 2, 9))
    taps = ([3, 3], [1, 1], [1, 1], [1, 1], 1.0, False)
    flags = [True] * 5
    return {
        "deform_conv2d": (image, offset, mask, weight, r(6), *conv),
        "deform_conv2d_backward": (*(r(2, 6, 5, 6), image, offset, mask, weight, *conv, flags, False),),
        "deform_attn": (value, sizes, places, weights),
        "deform_attn_backward": (r(2, 3, 8), value, sizes, places, weights, flags[:3], False),
        "deform_sample": (*window, *taps),
        "deform_sample_backward": (r(2, 5, 6, 6), *window, *taps, flags[:3], True),
        "deform_roi_pool": (image, boxes, r(2, 2, 3, 3), *roi),
        "deform_roi_pool_backward": (*(r(2, 4, 3, 3), image, boxes, r(2, 2, 3, 3), *roi, flags[:2], True),),
        "deform_psroi_pool": (image, boxes, r(2, 2, 3, 3), *psroi),
        "deform_psroi_pool_backward": (*(r(2, 1, 3, 3), image, boxes, r(2, 2, 3, 3), *psroi, flags[:2], True),),
    }


def _changed(value: Any, choose: Bytes) -> Any:
    """Returns another value for an argument, mostly of the same kind."""
    import torch

    if isinstance(value, torch.Tensor):
        return _changed_tensor(value, choose)
    if isinstance(value, list):
        kind = choose.below(3)
        if kind == 0:
            return value[:-1] if choose.below(2) else [*value, 1]
        return [choose.of(_NUMBERS) if choose.below(2) else item for item in value]
    if isinstance(value, float):
        return choose.of((0.0, -1.0, float("nan"), float("inf"), 1e30))
    if isinstance(value, bool):
        return not value
    return choose.of(_NUMBERS)


def _changed_tensor(value: Any, choose: Bytes) -> Any:
    import torch

    kind = choose.below(7)
    if kind == 0 or not value.dim():  # another shape
        return torch.rand([choose.below(5) for _ in range(choose.below(7))])
    if kind == 1:
        dtypes = (
            torch.float64,
            torch.float16,
            torch.bfloat16,
            torch.int64,
            torch.bool,
            torch.cfloat,
        )
        return value.to(choose.of(dtypes))
    if kind == 2:  # positions anywhere
        return (value - 0.5) * choose.of((1e3, 1e10, 1e30, float("inf"), float("nan")))
    if kind == 3:  # one memory for several elements
        return value[..., :1].expand_as(value)
    if kind == 4:
        return value.transpose(0, -1).contiguous().transpose(0, -1)
    if kind == 5:
        return value.narrow(choose.below(value.dim()), 0, 1) if value.numel() else value
    return choose.of((None, value.to("meta"), value.to_sparse(), value.flatten()))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (doctor_log, port, matrix, audit, operators)
}


#: Target → the files of a checkout that it starts from, since noise alone comes to few lines.
SEEDS = {
    "doctor_log": "tests/doctor/cases/*/*.log",
    "matrix": "matrix.yaml",
    "port": "tests/port/cases/*/in/**/*.c*",
}


def seeds(target: str) -> list[str]:
    """Returns libFuzzer's argument for the files that a target starts from."""
    root = Path(__file__).resolve().parents[1]
    found = sorted(str(path) for path in root.glob(SEEDS[target]) if path.is_file()) if target in SEEDS else []
    return [f"-seed_inputs={','.join(found)}"] if found else []


def main(argv: list[str]) -> int:
    """Runs the command line; Atheris ends the process."""
    if len(argv) < 2 or argv[1] not in TARGETS:
        print(f"{__doc__}\nTargets: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    import atheris

    with atheris.instrument_imports(include=["dcnbuild", "tools"]):
        TARGETS[argv[1]](b"")
    atheris.Setup([argv[0], *seeds(argv[1]), *argv[2:]], TARGETS[argv[1]])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
