"""The doctor's report: for people on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, Any

from dcnbuild.base.as_json import json_text, plain
from dcnbuild.base.printable import one_line
from dcnbuild.doctor.checks.evidence import compiled_for, describe_driver
from dcnbuild.doctor.resolver import Resolution
from dcnbuild.errors import Finding
from dcnbuild.machine.facts import Facts
from dcnbuild.machine.gpus import driver_cuda

SCHEMA = 1
_COLOURS = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


def to_json(facts: Facts, findings: Sequence[Finding], resolution: Resolution | None) -> str:
    """The report as JSON: schema, facts, findings, and the pip line where one was asked for."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "facts": plain(facts),
        "findings": [finding.to_json() for finding in findings],
    }
    if resolution is not None:
        document["pip"] = {
            "asked": resolution.asked,
            "line": resolution.line,
            "problem": resolution.problem,
            "rejected": [{"wheel": wheel.label, "reason": reason} for wheel, reason in resolution.rejected],
        }
    return json_text(document)


def summary(facts: Facts) -> list[tuple[str, str]]:
    """What was found, a line each."""
    python, torch, driver = facts.python, facts.torch, facts.driver
    built = f"{torch.version} ({compiled_for(torch)})  {torch.root}" if torch else "not installed"
    rows = [("Python", f"{python.version}  {python.executable}"), ("torch", built)]
    rows += _each("CUDA toolkit", (f"{toolkit.version}  {toolkit.root}" for toolkit in facts.toolkits))
    if home := facts.cuda_home:
        rows.append(("CUDA_HOME for torch", f"{home.path}  (from {home.taken_from})"))
    rows.append(("driver", describe_driver(driver) if driver.version or driver_cuda(driver) else "none"))
    rows += _each("GPU", (f"{gpu.name}, compute capability {gpu.number}" for gpu in driver.gpus))
    called = {facts.nvcc_compiler: ", called by nvcc"}
    compilers = (f"{one.kind} {one.version}  {one.path}{called.get(one, '')}" for one in facts.compilers)
    rows += _each("compiler", compilers)
    coded = ((library.path, " ".join(library.architectures) or "no GPU code") for library in facts.libraries)
    return rows + [("library", f"{path}  ({code})") for path, code in coded]


def _each(name: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, text) for text in texts] or [(name, "none")]


def details(facts: Facts) -> list[tuple[str, str]]:
    """What --verbose adds to the summary."""
    rows = sorted(facts.variables.items())
    for entry in facts.paths:
        state = {True: "", False: "  (does not exist)", None: "  (cannot be read)"}[entry.exists]
        cuda = f"  (CUDA {entry.cuda})" if entry.cuda else ""
        rows.append((entry.variable, f"{entry.text}{cuda}{state}"))
    rows += (*sorted(facts.python.packages.items()), *facts.python.constraints)
    machine = facts.machine
    memory = f"{machine.memory / (1 << 30):.1f} GiB" if machine.memory else "unknown"
    kind = f", in a container ({machine.container})" if machine.container else ", WSL" * machine.wsl
    named = f"{machine.distribution or machine.system} {machine.architecture}{kind}"
    rows.append(("machine", f"Jetson, {named}" if machine.jetson else named))
    rows.append(("cores, memory", f"{machine.cores}, {memory}"))
    return rows


def below_title(finding: Finding) -> list[tuple[str, str]]:
    """The lines of a finding below its title, each with its style."""
    said = [(f"  {finding.cause}", ""), *((f"    {line}", "dim") for line in finding.evidence)]
    fix = [(f"    {line}", "green") for line in finding.fix]
    return [*said, ("  to fix it:", ""), *fix] if fix else said


def show(
    facts: Facts | None,
    findings: Sequence[Finding],
    resolution: Resolution | None,
    nothing: str,
    verbose: bool = False,
    file: IO[str] | None = None,
) -> None:
    """Prints the report for people: a table of facts, the findings, the pip line.

    Args:
        facts: for the table; None to leave it out.
        findings: what was found.
        resolution: the pip line, where one was asked for.
        nothing: what to say where nothing was found.
        verbose: whether the table holds everything.
        file: where to print, by default standard output.
    """
    from rich.text import Text  # here: JSON does not pay for it

    from dcnbuild.base.console import console as make_console

    console = make_console(file=file, soft_wrap=True)
    if facts is not None:
        rows = [*summary(facts), *(details(facts) if verbose else [])]
        width = max(len(name) for name, _ in rows)
        for name, text in rows:
            row = Text(f"{one_line(name):{width}}  ", style="dim")
            console.print(row.append(one_line(text), style="not dim"))
        console.print()
    for finding in findings:
        heading = Text(f"{finding.severity}: ", style=_COLOURS[finding.severity])
        heading.append(one_line(finding.title), style="bold").append(f"  [{finding.id}]", style="dim")
        console.print(heading)
        for line, style in below_title(finding):  # a line end in a path must not begin what looks like a fix
            console.print(Text(one_line(line), style=style))
        console.print()
    if resolution is not None:
        _show_resolution(console, resolution)
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in _COLOURS}
    verdict = ", ".join(f"{count} {severity}{'s' * (count > 1)}" for severity, count in counts.items() if count)
    console.print(Text(verdict or nothing))


def _show_resolution(console: Any, resolution: Resolution) -> None:
    from rich.text import Text

    if resolution.wheel is not None and resolution.line is not None:
        console.print(Text(f"{resolution.asked or 'the newest torch'} on this machine: {resolution.wheel.label}"))
        console.print(Text(f"    {resolution.line}", style="green"))
    else:
        console.print(Text(f"no pip line for {resolution.asked or 'torch'}: {resolution.problem}"))
    for reason in resolution.reasons():
        console.print(Text(f"    not {reason}", style="dim"))
    console.print()
