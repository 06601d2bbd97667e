"""Shapes of pip, uv, setuptools, conda, apt, CMake, ninja, make, docker and git."""

from __future__ import annotations

from dcnbuild.doctor.parse.patterns import QUOTE as Q
from dcnbuild.doctor.parse.record import Shape

_PACKAGE = r"(?P<name>[A-Za-z0-9][\w.\[\],-]{0,80}?)"

SHAPES = (
    # pip and uv: a package, or a version of it, that the index does not have
    Shape(
        "no-distribution",
        "pip",
        "satisfies the requirement",
        rf"satisfies the requirement {_PACKAGE}(?P<wanted>(?:[=<>!~ ][^(]{{0,200}}?)?) ?(?:\(from versions: (?P<offered>[^)]{{0,6000}})\)?|$)",
    ),
    Shape(
        "no-distribution",
        "pip",
        "No matching distribution",
        rf"No matching distribution found for {_PACKAGE}(?P<wanted>[=<>!~ ].{{0,200}})?$",
    ),
    Shape(
        "no-distribution",
        "uv",
        "was not found in the",
        rf"[Bb]ecause {_PACKAGE} was not found in the (?:package registry|provided package locations|cache)",
    ),
    Shape(
        "no-distribution",
        "uv",
        "there is no version of",
        rf"there is no version of {_PACKAGE}(?P<wanted>[=<>!~][^\s,]{{1,80}})",
    ),
    Shape(
        "no-distribution",
        "uv",
        "has no wheels with",
        rf"[Bb]ecause {_PACKAGE}(?P<wanted>[=<>!~][^\s,]{{1,80}})? has no wheels with a matching",
    ),
    Shape(
        "no-distribution",
        "conda",
        "PackagesNotFoundError",
        r"PackagesNotFoundError: (?P<text>.{0,200})",
    ),
    Shape(
        "no-distribution",
        "conda",
        "nothing provides",
        r"nothing provides (?:requested )?(?P<name>[\w.-]{1,80})(?P<wanted>.{0,100})",
    ),
    Shape(
        "no-distribution",
        "conda",
        "does not exist (perhaps",
        r"(?<![\w.-])(?P<name>[A-Za-z0-9][\w.-]{0,80})(?P<wanted> [^ ]{1,60})? {1,4}does not exist \(perhaps",
    ),
    # packages that contradict each other
    Shape(
        "version-conflict",
        "pip",
        "Cannot install",
        r"Cannot install (?P<name>.{1,400}?) because these package versions have conflicting dependencies",
    ),
    Shape("version-conflict", "pip", "ResolutionImpossible", r"ResolutionImpossible"),
    Shape(
        "version-conflict",
        "uv",
        "are incompatible",
        r"(?P<text>[Bb]ecause .{1,300}are incompatible.{0,200})",
    ),
    Shape(
        "version-conflict",
        "uv",
        "are unsatisfiable",
        r"(?P<text>[Bb]ecause .{1,300}are unsatisfiable)",
    ),
    Shape(
        "version-conflict",
        "conda",
        "Could not solve",
        r"Could not solve for environment(?P<text>.{0,60})",
    ),
    Shape(
        "version-conflict",
        "conda",
        "UnsatisfiableError",
        r"UnsatisfiableError(?:: (?P<text>.{0,200}))?",
    ),
    Shape(
        "version-conflict", "poetry", "version solving failed", r"(?P<text>version solving failed)"
    ),
    Shape(
        "version-required",
        "python",
        "but found",
        r"(?<![\w.-])(?P<name>[\w.-]{1,60})(?P<wanted>[<>=!~]{1,2}[\w.,<>=!*]{1,60}) is required for a normal functioning of this module, but found (?P<have>\S+)",
    ),
    Shape(
        "version-required",
        "python",
        "VersionConflict",
        r"(?:VersionConflict|ContextualVersionConflict): \((?P<name>\S{1,60}) (?P<have>[\w.]+) .{0,200}?Requirement\.parse\('(?P<wanted>[^']{1,80})'\)",
    ),
    Shape(
        "version-required",
        "python",
        "DistributionNotFound",
        r"DistributionNotFound: The '(?P<name>[\w.-]{1,60})(?P<wanted>[^']{0,60})' distribution was not found",
    ),
    # what pip and setuptools refuse
    Shape("unknown-option", "pip", "no such option", r"no such option: (?P<option>--?[\w-]{1,60})"),
    Shape(
        "unknown-option",
        "uv",
        "unexpected argument",
        r"unexpected argument '(?P<option>--?[\w-]{1,60})'",
    ),
    Shape(
        "unknown-option",
        "setuptools",
        "not recognized",
        r"error: option (?P<option>--?[\w-]{1,60}) not recognized",
    ),
    Shape(
        "unknown-option",
        "",
        "unrecognized arguments",
        r"error: unrecognized arguments: (?P<option>.{1,100})",
    ),
    Shape(
        "unknown-command",
        "setuptools",
        "invalid command",
        r"error: invalid command '(?P<name>[^']{1,60})'",
    ),
    Shape(
        "not-a-project",
        "pip",
        "does not appear to be a Python project",
        r"(?<!\S)(?P<path>\S{1,300}) does not appear to be a Python project",
    ),
    Shape(
        "not-a-project",
        "pip",
        "is not installable",
        r"Directory '(?P<path>[^']{1,300})' is not installable",
    ),
    Shape(
        "not-a-project",
        "",
        "an't open file",
        r"can't open file '?(?P<path>[^'\n]{0,300}setup\.py)'?: \[Errno 2\]",
    ),
    Shape("bad-metadata", "setuptools", "project.license", r"(?P<text>project\.license.{0,200})"),
    Shape(
        "bad-metadata",
        "setuptools",
        "nvalid pyproject",
        r"(?P<text>invalid pyproject\.toml config.{0,200})",
    ),
    Shape(
        "bad-metadata",
        "setuptools",
        "nvalid version",
        r"(?P<text>[Ii]nvalid version: '[^']{1,60}')",
    ),
    Shape(
        "bad-metadata",
        "setuptools",
        "Invalid",
        r"(?P<text>(?:invalid pyproject\.toml config|[Ii]nvalid version: '[^']{1,60}'|Invalid dist-info|InvalidRequirement|InvalidVersion).{0,200})",
    ),
    Shape(
        "bad-metadata",
        "setuptools",
        " setup command",
        r"error in \S{1,60} setup command: (?P<text>.{1,200})",
    ),
    Shape(
        "bad-metadata",
        "setuptools",
        "flat-layout",
        r"(?P<text>Multiple top-level packages discovered in a flat-layout.{0,200})",
    ),
    Shape(
        "no-output-directory",
        "setuptools",
        "could not create",
        rf"could not create {Q}(?P<path>[^'\n]{{1,300}}){Q}: No such file",
    ),
    Shape(
        "certificate",
        "",
        "CERTIFICATE_VERIFY_FAILED",
        r"CERTIFICATE_VERIFY_FAILED\]?(?P<text>.{0,120})",
    ),
    Shape(
        "certificate",
        "",
        "certificate",
        r"(?P<text>SSL certificate problem.{0,100}|server certificate verification failed|invalid peer certificate.{0,60})",
    ),
    *(
        Shape(
            "network",
            "",
            needle,
            r"(?P<text>(?:Could not|Couldn't|Temporary failure in|Failed to) (?:name )?resol(?:ve|ution)[^\n]{0,160})",
        )
        for needle in (
            "ould not resolve",
            "Couldn't resolve",
            "name resolution",
            "ailed to resolve",
        )
    ),
    Shape(
        "network",
        "",
        "NewConnectionError",
        r"(?P<text>Failed to establish a new connection[^\n]{0,120}|NewConnectionError)",
    ),
    Shape("network", "", "Read timed out", r"(?P<text>Read timed out\.?)"),
    Shape("network", "", "ProxyError", r"(?P<text>ProxyError[^\n]{0,120})"),
    Shape("network", "", "HTTP Error", r"(?P<text>HTTP Error \d{3}[^\n]{0,100})"),
    Shape(
        "network",
        "git",
        "unable to access",
        r"fatal: unable to access '(?P<url>[^'\n]{1,300})': (?P<text>.{1,200})",
    ),
    Shape("hash-mismatch", "pip", "DO NOT MATCH", r"THESE PACKAGES DO NOT MATCH THE HASHES"),
    Shape("bad-archive", "", "File is not a zip", r"(?P<text>File is not a zip file|BadZipFile)"),
    Shape(
        "already-installed",
        "pip",
        "Cannot uninstall",
        r"Cannot uninstall '?(?P<name>[\w.-]{1,60})'?(?P<text>.{0,200})",
    ),
    # conda
    Shape(
        "conda-environment",
        "conda",
        "EnvironmentLocationNotFound",
        r"EnvironmentLocationNotFound: (?P<text>.{0,200})",
    ),
    Shape(
        "conda-environment",
        "conda",
        "conda init",
        r"CondaError: Run 'conda init'(?P<text>.{0,60})|Your shell has not been properly configured to use 'conda activate'",
    ),
    # apt and other package managers
    Shape(
        "no-system-package",
        "apt",
        "nable to locate package",
        r"E: Unable to locate package (?P<name>[\w.+-]{1,100})",
    ),
    Shape(
        "no-system-package",
        "apt",
        "no installation candidate",
        rf"Package {Q}?(?P<name>[\w.+-]{{1,100}}){Q}? has no installation candidate",
    ),
    Shape(
        "no-system-package",
        "apt",
        "find any package by",
        r"Couldn't find any package by (?:glob|regex) '(?P<name>[^']{1,100})'",
    ),
    Shape(
        "no-system-package",
        "apt",
        "was not found",
        r"E: Version '(?P<version>[^']{1,60})' for '(?P<name>[^']{1,60})' was not found",
    ),
    Shape(
        "no-system-package",
        "dnf",
        "Unable to find a match",
        r"Unable to find a match: (?P<name>[\w.+-]{1,100})",
    ),
    Shape(
        "no-system-package",
        "dnf",
        "No match for argument",
        r"No match for argument: (?P<name>[\w.+-]{1,100})",
    ),
    Shape(
        "no-system-package", "dnf", "No package", r"No package (?P<name>[\w.+-]{1,100}) available"
    ),
    Shape(
        "no-system-package",
        "pacman",
        "target not found",
        r"target not found: (?P<name>[\w.+-]{1,100})",
    ),
    Shape(
        "no-system-package",
        "apk",
        "no such package",
        r"(?<![\w.+-])(?P<name>[\w.+-]{1,100}) \(no such package\)",
    ),
    Shape(
        "no-system-package",
        "brew",
        "No available formula",
        r"No available formula (?:or cask )?with the name \"(?P<name>[\w.@+-]{1,100})",
    ),
    Shape(
        "apt-dependencies",
        "apt",
        "nmet dependencies",
        r"following packages have unmet dependencies|[Uu]nmet dependencies",
    ),
    Shape("apt-dependencies", "apt", "held broken packages", r"you have held broken packages"),
    Shape("apt-key", "apt", "NO_PUBKEY", r"NO_PUBKEY (?P<name>[0-9A-F]{8,40})"),
    Shape(
        "apt-key", "apt", "is not signed", r"The repository '(?P<url>[^']{1,200})' is not signed"
    ),
    Shape(
        "apt-key",
        "apt",
        "Conflicting values set",
        r"Conflicting values set for option Signed-By(?P<text>.{0,200})",
    ),
    Shape("apt-lock", "apt", "Could not get lock", r"Could not get lock (?P<path>\S{1,200})"),
    Shape(
        "dpkg",
        "apt",
        "dpkg",
        r"(?P<text>dpkg was interrupted.{0,100}|Sub-process /usr/bin/dpkg returned an error code)",
    ),
    # CMake
    Shape(
        "cmake-package",
        "cmake",
        "ackage configuration file",
        r"package configuration file provided by \"(?P<name>[\w.+-]{1,80})\"",
    ),
    Shape(
        "cmake-package",
        "cmake",
        "Could NOT find",
        r"Could NOT find (?P<name>[\w.+-]{1,80}) \((?P<why>missing: (?P<missing>[\w ./-]{1,200}?)\)|Required.{0,100}|.{0,200})",
    ),
    Shape(
        "cmake-package",
        "cmake",
        "By not providing",
        r"By not providing \"Find(?P<name>[\w.+-]{1,80})\.cmake\"",
    ),
    Shape(
        "cmake-package",
        "cmake",
        "required packages were not found",
        r"required packages were not found",
    ),
    Shape(
        "cmake-target",
        "cmake",
        "target was not found",
        r"(?:contains:|links to( target)?:?) ?\"?(?P<name>[\w:.+-]{1,80})\"? but the target was not found",
    ),
    Shape(
        "cmake-target",
        "cmake",
        "links to",
        r"links to(?: target)?:? \"?(?P<name>[\w.+-]{1,60}::[\w.+-]{1,60})\"?",
    ),
    Shape(
        "cmake-cache",
        "cmake",
        "different than the directory",
        r"The (?:current )?CMakeCache\.txt directory (?P<path>\S{1,300}) is different than the directory",
    ),
    Shape(
        "cmake-cache",
        "cmake",
        "Does not match the generator",
        r"generator : (?P<name>[\w ]{1,60}) Does not match the generator used previously",
    ),
    Shape(
        "cmake-generator",
        "cmake",
        "Could not create named generator",
        r"Could not create named generator (?P<name>.{1,60})",
    ),
    Shape(
        "cmake-generator",
        "cmake",
        "CMAKE_MAKE_PROGRAM",
        r"CMake was unable to find a build program corresponding to \"(?P<name>[^\"]{1,60})\"",
    ),
    Shape(
        "cmake-source",
        "cmake",
        "does not appear to contain CMakeLists",
        r"The source directory \"?(?P<path>[^\"]{1,300}?)\"? does not (?:appear to )?contain (?:a )?CMakeLists\.txt",
    ),
    Shape(
        "cmake-source",
        "cmake",
        "does not contain a CMakeLists",
        r"does not contain a CMakeLists\.txt",
    ),
    Shape(
        "cmake-source",
        "cmake",
        "which is not an existing directory",
        r"add_subdirectory given source \"(?P<path>[^\"]{1,200})\" which is not an",
    ),
    Shape(
        "cmake-variables",
        "cmake",
        "used in this project, but they are set to NOTFOUND",
        r"variables are used in this project, but they are set to NOTFOUND",
    ),
    Shape(
        "cmake-error",
        "cmake",
        "CMake Error",
        r"CMake Error(?: at (?P<path>[^:\n]{1,300}):(?P<line>\d+))?(?: \((?P<command>\w+)\))?(?:: ?(?P<text>.{0,300}))?",
    ),
    # docker, git
    Shape(
        "docker-gpu",
        "docker",
        "could not select device driver",
        r"could not select device driver \"(?P<name>\w*)\" with capabilities: \[\[(?P<text>[\w ,\]\[]{0,60}?)\]\]",
    ),
    Shape(
        "docker-gpu",
        "docker",
        "unknown or invalid runtime",
        r"unknown or invalid runtime name: (?P<name>\w+)",
    ),
    Shape(
        "docker-gpu",
        "docker",
        "Unknown runtime specified",
        r"Unknown runtime specified (?P<name>\w+)",
    ),
    Shape(
        "docker-gpu",
        "docker",
        "nvidia-container-cli",
        r"nvidia-container-cli(?:\.real)?: (?P<text>[^\n]{1,300})",
    ),
    Shape(
        "docker-gpu",
        "docker",
        "unresolvable CDI devices",
        r"unresolvable CDI devices (?P<name>\S{1,100})",
    ),
    Shape(
        "docker-gpu",
        "docker",
        "nvidia-container-runtime",
        r"(?P<text>nvidia-container-runtime[\w.-]{0,20}: (?:executable file not found|no such file)[^\n]{0,100})",
    ),
    Shape("docker-image", "docker", "manifest unknown", r"manifest unknown"),
    Shape(
        "docker-image",
        "docker",
        "manifest for",
        r"manifest (?:for (?P<name>\S{1,200}?) not found|unknown)",
    ),
    Shape(
        "docker-image",
        "docker",
        "pull access denied",
        r"pull access denied for (?P<name>[^\s,]{1,200})",
    ),
    Shape(
        "docker-image",
        "docker",
        ": not found",
        r"(?<![\w./-])(?P<name>[\w./-]{1,120}:[\w.+-]{1,120}): not found",
    ),
    Shape(
        "docker-image",
        "docker",
        "no matching manifest",
        r"no matching manifest for (?P<name>\S{1,60})",
    ),
    Shape(
        "docker-daemon",
        "docker",
        "Cannot connect to the Docker daemon",
        r"Cannot connect to the Docker daemon",
    ),
    Shape(
        "docker-daemon",
        "docker",
        "Docker daemon socket",
        r"permission denied while trying to connect to the Docker daemon socket",
    ),
    Shape(
        "docker-step",
        "docker",
        "did not complete successfully",
        r"process \"(?P<text>.{1,400})\" did not complete successfully: exit code: (?P<code>\d+)",
    ),
    Shape(
        "docker-step",
        "docker",
        "returned a non-zero code",
        r"The command '(?P<text>.{1,400})' returned a non-zero code: (?P<code>\d+)",
    ),
    Shape(
        "docker-error",
        "docker",
        "Error response from daemon",
        r"Error response from daemon: (?P<text>.{1,400})",
    ),
    Shape("git-repository", "git", "not a git repository", r"fatal: not a git repository"),
    Shape(
        "git-submodule",
        "git",
        "submodule",
        r"(?P<text>fatal: (?:No url found for submodule path|clone of|Unable to (?:find current|checkout|fetch)|Fetched in submodule|Failed to (?:clone|recurse)).{1,200})",
    ),
    Shape(
        "git-owner",
        "git",
        "dubious ownership",
        r"detected dubious ownership in repository at '(?P<path>[^'\n]{1,300})'",
    ),
    Shape("git-access", "git", "Permission denied (publickey", r"Permission denied \(publickey"),
    Shape(
        "git-access",
        "git",
        "ould not read Username",
        r"could not read Username for '(?P<url>[^']{1,200})'",
    ),
    Shape(
        "git-access",
        "git",
        "epository not found",
        r"[Rr]epository (?:'(?P<url>[^']{1,200})' )?not found",
    ),
    Shape(
        "git-ref", "git", "did not match any", r"pathspec '(?P<name>[^']{1,120})' did not match any"
    ),
    Shape("git-ref", "git", "Remote branch", r"Remote branch (?P<name>\S{1,120}) not found"),
    Shape(
        "git-lfs",
        "git",
        "git-lfs",
        r"(?P<text>git-lfs\b.{0,60}(?:not found|is not a git command).{0,60})",
    ),
    # ninja, make, and whoever started them
    Shape(
        "command-too-long",
        "ninja",
        "parameter is incorrect",
        r"CreateProcess: The parameter is incorrect",
    ),
    Shape("command-too-long", "ninja", "command line too long", r"is the command line too long"),
    Shape(
        "command-too-long",
        "Windows",
        "filename or extension is too long",
        r"(?:WinError 206\] )?The filename or extension is too long",
    ),
    Shape(
        "command-too-long", "Windows", "command line is too long", r"The command line is too long"
    ),
    Shape("command-too-long", "Linux", "Argument list too long", r"Argument list too long"),
    Shape("path-too-long", "", "File name too long", r"File name too long"),
    Shape("path-too-long", "Windows", "Filename too long", r"Filename too long"),
    Shape("ninja-error", "ninja", "ninja: ", r"ninja: (?:error|fatal): (?P<text>.{1,300})"),
)
