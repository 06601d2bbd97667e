"""Wraps every public function of an operator: handles overrides and autocast before the function's own code."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from torch.overrides import handle_torch_function

from dcnbuild.ops.autocast import autocast, autocast_enabled
from dcnbuild.ops.torch_versions import has_torch_function_variadic

Function = TypeVar("Function", bound=Callable[..., Any])


def public(positions: Collection[str]) -> Callable[[Function], Function]:
    """Decorates a public function, whose first argument is data.

    `torch.fx`, modes and subclasses of Tensor can override the function like one of torch's. Under autocast, it
    converts the tensors to autocast's dtypes.

    Args:
        positions: arguments that are positions, and stay float32 under autocast; other tensors are data.
    """

    def decorate(function: Function) -> Function:
        names = list(inspect.signature(function).parameters)

        @functools.wraps(function)
        def overridable(*args: Any, **kwargs: Any) -> Any:
            if has_torch_function_variadic(*args, *kwargs.values()):
                given = (*args, *kwargs.values())
                return handle_torch_function(overridable, given, *args, **kwargs)
            if autocast_enabled(args[0] if args else kwargs.get(names[0])):
                cast = autocast({**dict(zip(names, args)), **kwargs}, positions)
                args = (*(cast[name] for name, _ in zip(names, args)), *args[len(names) :])
                kwargs = {name: cast[name] for name in kwargs}
            return function(*args, **kwargs)

        return overridable  # type: ignore[return-value]

    return decorate
