"""`python -m dcnbuild COMMAND`, the same as `dcnbuild COMMAND`."""

import sys

from dcnbuild.cli import main

sys.exit(main())
