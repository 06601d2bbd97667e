"""The setuptools commands that put compiled libraries and sources into wheels and editable installs."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any, ClassVar

from setuptools import Command
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build
from setuptools.command.egg_info import egg_info
from setuptools.command.sdist import sdist

from dcnbuild.builder.aot import build_prebuilt
from dcnbuild.builder.failure import FINDINGS, leave_findings, remove_findings
from dcnbuild.builder.record import FILE
from dcnbuild.builder.requirements import install_requirements, torch_of_build
from dcnbuild.builder.sources import LIBRARIES, library_file
from dcnbuild.errors import FindingError

#: Directories that lie beside the package in a checkout, and inside it in a wheel: (in the checkout, in the wheel).
SHIPPED = (("csrc", "dcnbuild/csrc"),)
LIB = "dcnbuild/lib"


class Build(build):
    """`build`, which compiles our libraries after copying the Python files."""

    sub_commands: ClassVar = [("build_py", None), ("build_native", None)]

    def run(self) -> None:
        # Files that an earlier build left here would go into this wheel.
        shutil.rmtree(Path(self.build_lib, "dcnbuild"), ignore_errors=True)
        super().run()


class BuildNative(Command):
    """Compiles the libraries: into the build directory, or into the checkout for an editable install."""

    description = "compile dcnbuild's CPU and CUDA kernels"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []
    editable_mode: bool = False
    build_lib: str | None

    def initialize_options(self) -> None:
        self.build_lib = None

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self) -> None:
        root = Path() if self.editable_mode else self._destination()
        work = Path("build", "objects").absolute()
        try:
            build_prebuilt(root / LIB, work, torch_of_build(), os.environ)
        except (FindingError, ValueError) as error:
            if isinstance(error, FindingError):
                leave_findings(FINDINGS, error)
            sys.exit(f"dcnbuild: {error}")
        remove_findings(FINDINGS)
        if not self.editable_mode:
            for source, name in SHIPPED:
                _copy(Path(source), root / name)

    def _destination(self) -> Path:
        assert self.build_lib is not None  # set by finalize_options
        return Path(self.build_lib)

    def get_source_files(self) -> list[str]:
        """Returns the files that this command needs in the sdist."""
        return [str(path) for source, _ in SHIPPED for path in _files(Path(source)) if path.is_file()]

    def get_outputs(self) -> list[str]:
        """Returns the files that `run` makes in the build directory."""
        names = [f"{LIB}/{name}" for name in (*map(library_file, LIBRARIES), FILE)]
        shipped = [
            f"{name}/{path.relative_to(source)}" if path != Path(source) else name
            for source, name in SHIPPED
            for path in _files(Path(source))
        ]
        return [str(self._destination() / name) for name in (*names, *shipped)]

    def get_output_mapping(self) -> dict[str, str]:
        """Returns each output's place in the checkout, for editable installs."""
        if not self.editable_mode:
            return {}
        names = (*map(library_file, LIBRARIES), FILE)
        return {str(self._destination() / LIB / name): f"{LIB}/{name}" for name in names}


class BdistWheel(bdist_wheel):
    """A wheel for one platform and any Python 3: no library of ours includes a Python header."""

    def finalize_options(self) -> None:
        # setuptools calls this to distinguish a platform wheel from a pure one
        self.distribution.has_ext_modules = lambda: True
        super().finalize_options()

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


class EggInfo(egg_info):
    """Writes the metadata, with a dependency on the torch that the libraries are built for."""

    def finalize_options(self) -> None:
        self.distribution.install_requires = install_requirements()
        self.distribution.metadata.install_requires = self.distribution.install_requires
        super().finalize_options()


class Sdist(sdist):
    """An archive that two builds of the same files make alike, if SOURCE_DATE_EPOCH gives its time."""

    def make_archive(self, *arguments: Any, **named: Any) -> str:
        path: str = super().make_archive(*arguments, **named)
        if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
            _settle(Path(path), int(epoch))
        return path


def _settle(archive: Path, time: int) -> None:
    """Packs an archive again: all of one time, of nobody, and without what the umask left out of the modes."""

    def settled(member: tarfile.TarInfo) -> tarfile.TarInfo:
        made = tarfile.TarInfo(member.name)
        made.type, made.linkname, made.size, made.mtime = member.type, member.linkname, member.size, time
        made.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return made

    new = archive.with_name(f"{archive.name}.new")
    with (
        tarfile.open(archive) as old,
        new.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=time) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for member in sorted(old, key=lambda it: it.name):
            tar.addfile(settled(member), old.extractfile(member) if member.isfile() else None)
    new.replace(archive)


def _files(source: Path) -> list[Path]:
    return sorted(path for path in source.rglob("*") if path.is_file()) or [source]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
