"""The host half of the route `nvrtc`: every call of the driver, with real cubins, and every way that one can fail."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from nvrtc.calls import BF16, CALLS, F32, PAIRS, assert_results, results, widened
from nvrtc.conftest import Driver, smallest_call
from ops.cases import assert_close
from ops.sample_cases import expected_of, random_case, results_of

from dcnbuild.builder import gpu_route
from dcnbuild.builder.kernels import KernelCompiler
from dcnbuild.builder.nvrtc import Compiled

#: The stream that the tests' host half hands on (common/torch_api.h).
pytestmark = pytest.mark.slow

STREAM = 0x5EED
GATHER = "dcnbuild::cuda::gather_columns_kernel<float, float, 1>"


@pytest.mark.parametrize("operator", CALLS)
@pytest.mark.parametrize("dtypes", PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def test_agreement_with_the_cpu(operator: str, dtypes: tuple[torch.dtype, torch.dtype], driver: Driver) -> None:
    """Output and all gradients agree with the CPU on both routes, with and without vector loads."""
    for seed in range(4):
        call = CALLS[operator](seed, dtypes)
        actual = results(torch.ops.dcnbuild_driven, call, deterministic=seed % 2 == 1)
        upstream_rounded = _expected(call, actual)
        assert_results(actual, upstream_rounded, PAIRS[dtypes])
    launches = driver.launches()
    assert len(launches) >= 8
    assert {(threads, stream) for _, _, threads, stream in launches} == {(256, STREAM)}


@pytest.mark.parametrize("dtypes", [(F32, F32), (BF16, BF16)], ids=str)
def test_agreement_of_deform_sample(dtypes: tuple[torch.dtype, torch.dtype], driver: Driver) -> None:
    """deform_sample, which launches attention's kernels, agrees with the CPU."""
    for seed in range(2):
        case = random_case(seed)
        tensors = case.tensors(seed, dtypes[0], points_dtype=dtypes[1])
        actual = results_of(torch.ops.dcnbuild_driven, case, tensors, deterministic=seed == 1)
        expected = expected_of(case, {name: t.double() for name, t in tensors.items()})
        assert_close({name: t.double() for name, t in actual.items()}, expected, PAIRS[dtypes])
    assert any("attn_gradients_kernel" in name for name, *_ in driver.launches())


def _expected(call: Any, actual: list[torch.Tensor]) -> list[torch.Tensor]:
    """The CPU kernels' results in float64, for the upstream gradient as the call's dtype holds it."""
    name, arguments, gradients = widened(call)
    output = getattr(torch.ops.dcnbuild, name)(*arguments)
    generator = torch.Generator().manual_seed(1)
    upstream = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    upstream = upstream.to(actual[0].dtype).double()
    if name == "deform_conv2d":
        mask = [True, True, arguments[2] is not None, True, arguments[4] is not None]
        arguments = (*arguments[:4], *arguments[5:])
    else:
        mask = [True] * gradients
    grads = getattr(torch.ops.dcnbuild, f"{name}_backward")(upstream, *arguments, mask, False)
    return [output, *grads]


def test_no_driver_is_explained(driver: Driver) -> None:
    assert "the NVIDIA driver cannot be loaded: libcuda.so.1" in driver.said_before


def test_a_kernel_is_compiled_and_loaded_once_and_launched_in_the_primary_context(
    driver: Driver,
) -> None:
    driver.library.stand_in_leave_context()
    smallest_call()
    driver.log()
    driver.asked.clear()
    call = CALLS["deform_conv2d"](0, (F32, F32))

    def first_in_a_new_thread() -> None:
        results(torch.ops.dcnbuild_driven, call)

    thread = threading.Thread(target=first_in_a_new_thread)
    thread.start()
    thread.join()
    calls = driver.log()
    entered = [words for words in calls if "Ctx" in words[0]]
    assert entered == [["cuDevicePrimaryCtxRetain", "0"], ["cuCtxSetCurrent", "0"]]
    loads = sum(words[0] == "cuModuleLoadData" for words in calls)
    assert loads == len(driver.asked) == len(set(driver.asked))
    assert all(capability == 90 for _, capability in driver.asked)
    results(torch.ops.dcnbuild_driven, call)  # in this thread, and the same context
    again = [words[0] for words in driver.log() if "DeviceGet" not in words[0]]
    assert set(again) == {"cuLaunchKernel"}
    assert len(again) == sum(words[0] == "cuLaunchKernel" for words in calls)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        ("cuDeviceGet", 101, "cuDeviceGet: CUDA_ERROR_INVALID_DEVICE (invalid device ordinal)"),
        ("cuModuleLoadData", 200, f"cuModuleLoadData of {GATHER}: CUDA_ERROR_INVALID_IMAGE"),
        ("cuModuleGetFunction", 500, f"cuModuleGetFunction of {GATHER}: CUDA_ERROR_NOT_FOUND"),
        (
            "cuLaunchKernel",
            2,
            f"cuLaunchKernel of {GATHER}: CUDA_ERROR_OUT_OF_MEMORY (out of memory)",
        ),
        ("cuLaunchKernel", 12345, "error 12345 (not known to the driver)"),
    ],
)
def test_a_call_that_fails_is_named(call: str, error: int, said: str, driver: Driver, compiler: KernelCompiler) -> None:
    """A failing driver call is named in the error, and the next call works. The kernel is one that is not loaded
    yet.
    """
    offset = torch.zeros(1, 2, 1, 1)
    one = torch.ones(1, 1, 1, 1)
    driver.library.stand_in_forget()
    driver.fail(call, error)
    arguments = (one, offset, None, one, None, (1, 1), (0, 0), (1, 1), 1, 1)
    with pytest.raises(RuntimeError) as raised:
        torch.ops.dcnbuild_driven.deform_conv2d(*arguments)
    assert said in str(raised.value)
    assert torch.equal(torch.ops.dcnbuild_driven.deform_conv2d(*arguments), one)


@pytest.mark.parametrize("deterministic", [False, True])
def test_every_launch_that_fails_raises(driver: Driver, deterministic: bool) -> None:
    for operator, make in CALLS.items():
        call = make(1, (F32, F32))
        driver.log()
        results(torch.ops.dcnbuild_driven, call, deterministic)
        for before in range(len(driver.launches())):
            driver.fail("cuLaunchKernel", 2, before)
            with pytest.raises(RuntimeError, match=r"out of memory"):
                results(torch.ops.dcnbuild_driven, call, deterministic)
        driver.fail("", 0)
        assert results(torch.ops.dcnbuild_driven, call, deterministic), operator


def test_a_gpu_that_its_code_is_not_for(driver: Driver, compiler: KernelCompiler) -> None:
    driver.library.stand_in_forget()
    driver.answer = lambda name, _capability: compiler.kernel(name, 80)
    with pytest.raises(RuntimeError, match="CUDA_ERROR_NO_BINARY_FOR_GPU"):
        smallest_call()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("accumulate_kernel<float, float>", "parameter 0 has 8 bytes in the kernel, and 184 here"),
        ("join_tiles_kernel<float>", "parameter 0 has 4 bytes in the kernel, and 184 here"),
    ],
)
def test_a_kernel_of_other_parameters_is_refused(
    other: str, said: str, driver: Driver, compiler: KernelCompiler
) -> None:
    """A kernel image made from other sources than the host half has other parameters, and is refused."""
    driver.library.stand_in_forget()
    driver.answer = lambda _name, capability: compiler.kernel(f"dcnbuild::cuda::{other}", capability)
    with pytest.raises(RuntimeError, match=said):
        smallest_call()


def test_what_the_compiler_says_arrives(driver: Driver, compiler: KernelCompiler) -> None:
    driver.library.stand_in_forget()
    driver.answer = lambda _name, capability: compiler.kernel("no_such_kernel<1>", capability)
    with pytest.raises(RuntimeError, match=r"NVRTC .* did not compile no_such_kernel<1> for sm_90") as raised:
        smallest_call()
    assert "no_such_kernel" in str(raised.value) and "error" in str(raised.value)
    driver.answer = lambda _name, _capability: Compiled(("x",), b"")
    with pytest.raises(RuntimeError, match="nothing was compiled"):
        smallest_call()


def test_a_gpu_that_nvrtc_does_not_know_gets_ptx(driver: Driver, compiler: KernelCompiler) -> None:
    driver.library.stand_in_forget()
    driver.configure(capability=990)
    assert torch.equal(smallest_call(), torch.ones(1, 1, 1, 1))
    assert driver.asked[0][1] == 990
    newest = compiler.nvrtc.supported[-1]
    assert f".target sm_{newest}".encode() in compiler.kernel(*driver.asked[0]).image


def test_the_driver_says_which_cuda_it_knows(driver: Driver) -> None:
    assert gpu_route.driver_cuda() == (12, 8)
    driver.fail("cuDriverGetVersion", 100)
    assert gpu_route.driver_cuda() is None


def test_the_context_of_another_gpu_is_not_used(driver: Driver) -> None:
    smallest_call()
    driver.log()
    driver.configure(devices=2)
    driver.library.stand_in_make_current(1)
    smallest_call()  # on device 0, whose context is made current again
    calls = [words[0] for words in driver.log()]
    assert "cuCtxSetCurrent" in calls
    assert "cuModuleLoadData" not in calls


def test_a_first_launch_inside_a_capture_loads_its_module(driver: Driver) -> None:
    driver.library.stand_in_forget()
    driver.library.stand_in_capture(True)
    try:
        assert torch.equal(smallest_call(), torch.ones(1, 1, 1, 1))
    finally:
        mode = driver.library.stand_in_capture(False)
    assert mode == 0, "the thread's mode is what it was"


def test_every_context_loads_its_own(driver: Driver) -> None:
    smallest_call()
    driver.library.stand_in_forget()
    driver.log()
    driver.asked.clear()
    smallest_call()
    loads = [words[0] for words in driver.log()].count("cuModuleLoadData")
    assert loads == len(driver.asked) >= 1
