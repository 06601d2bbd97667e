"""The operators as torch sees them.

Every module here needs torch, and the import of torch imports these modules to register the operators. So torch comes
first: a module that was half imported when it asked for torch would be met again before it is complete.
"""

import torch  # noqa: F401
