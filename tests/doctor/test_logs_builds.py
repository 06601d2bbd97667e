"""Tests that a fix of a build gives the whole command again, in the environment that failed, and reads what it shows."""

from __future__ import annotations

import pytest
from doctor.reading import findings


def fix(log: str) -> list[str]:
    """The lines of the first finding's fix."""
    return list(findings(log)[0].fix)


_GLIBC = (
    "/usr/include/bits/mathcalls.h(79): error: exception specification is incompatible with that of previous function "
    '"cospi" (declared at line 2601 of /usr/local/cuda-12.9/include/crt/math_functions.h)\nmake: *** [a.o] Error 2'
)
_THC = "src/a.cu:4:10: fatal error: THC/THC.h: No such file or directory"


@pytest.mark.parametrize(
    ("typed", "said", "again"),
    [
        ("u@h:~/x/build$ cmake .. && make -j8", _GLIBC, "cmake .. && make -j8"),
        ("u@h:~/x$ mkdir build && cd build && cmake .. && make -j$(nproc)", _GLIBC, "cmake .. && make -j$(nproc)"),
        ("u@h:~/x$ rm -rf build && mkdir build && cd build && cmake ..", _GLIBC, "cmake .."),
        ("u@h:~/x$ rm -rf build && cmake -B build && ninja -C build", _GLIBC, None),
        (
            "u@h:~/x$ cmake -B build \\\n  -DA=1 && cmake --build build",
            _GLIBC,
            "cmake -B build -DA=1 && cmake --build build",
        ),
        ("u@h:~/x$ cmake ..; make -j4", _GLIBC, "cmake ..; make -j4"),
        ("u@h:~/x$ make clean && make", _THC, "make clean && make"),
        ("u@h:~/x$ python setup.py clean && python setup.py install", _THC, None),
        ("u@h:~$ cd x && python setup.py build_ext --inplace", _THC, "python setup.py build_ext --inplace"),
        ("u@h:~$ git clone https://github.com/a/b && cd b && bash make.sh", _THC, "bash make.sh"),
        ("C:\\x\\build> cmake .. && nmake", f"C:\\x\\a.cu(4): {_THC[14:]}", "cmake .. && nmake"),
        ("[4]  !cd /content/x && make clean && make", _THC, "!cd /content/x && make clean && make"),
        ("u@h:~/x$ make -j$(($(nproc)-1))", _THC, "# Then run the same command again"),
    ],
)
def test_a_build_is_started_again_by_the_whole_line(typed: str, said: str, again: str | None) -> None:
    assert (again or typed.partition("$ ")[2]) in fix(f"{typed}\n{said}")


def test_no_header_of_the_system_lies_in_the_project() -> None:
    assert not any("/usr/include" in line for line in fix(f"-- The CUDA compiler is nvcc\n{_GLIBC}"))


_OLD_NVCC = (
    "-- The CUDA compiler identification is NVIDIA 11.5.119\n-- Build files have been written to: /home/u/x/build\n"
    "u@h:~/x$ cmake --build build --config Release\nnvcc fatal   : Unsupported gpu architecture 'compute_89'\n"
)
_NEW_NVCC = "-DCMAKE_CUDA_COMPILER=/usr/local/cuda-12.8/bin/nvcc"


@pytest.mark.parametrize(
    ("log", "configures"),
    [
        (
            'u@h:~/x$ cmake -B build -DA=1 -G Ninja\n-- Found CUDAToolkit: /usr/local/cuda-12.8/include (found "12.8")\n',
            f"cmake -B build-cuda -DA=1 -GNinja {_NEW_NVCC}",
        ),
        (
            "u@h:~$ which -a nvcc\n/usr/bin/nvcc\n/usr/local/cuda-12.8/bin/nvcc\nu@h:~/x$ cmake -S src -D B='a b'\n",
            f"cmake -B build-cuda -Ssrc '-DB=a b' {_NEW_NVCC}",
        ),
        (
            "u@h:~$ whereis nvcc\nnvcc: /usr/bin/nvcc /usr/local/cuda-12.8/bin/nvcc\nu@h:~/x$ cmake --preset=gpu\n",
            f"cmake -B build-cuda --preset=gpu {_NEW_NVCC}",
        ),
        (
            "u@h:~$ ls -d /usr/local/cuda-*\n/usr/local/cuda-12.8\nu@h:~/x/build$ cmake .. -DA=1 && make\n",
            f"cmake .. -DA=1 {_NEW_NVCC}",
        ),
    ],
)
def test_cmake_configures_with_the_options_and_the_toolkit_of_the_log(log: str, configures: str) -> None:
    lines = fix(log + _OLD_NVCC)
    assert configures in lines and not any("install" in line for line in lines)
    assert ("rm CMakeCache.txt" in lines) == (" .. " in configures)
    assert lines[-1] == f"cmake --build {'.' if ' .. ' in configures else 'build-cuda'} --config Release"


def test_cmakes_options_for_pip_are_kept() -> None:
    nvtx = "  Cannot find NVTX3, find old NVTX instead\n  CUDA::nvToolsExt\n  but the target was not found.\nERROR: Failed building wheel for net\n"
    log = f'$ CMAKE_ARGS="-DA=1" pip install net\nBuilding wheel for net (pyproject.toml): started\n{nvtx}'
    given = "-DA=1 -DUSE_SYSTEM_NVTX=ON -Dnvtx3_dir=/usr/local/cuda/include"
    assert f"export CMAKE_ARGS='{given}'" in fix(log) and "pip install net" in fix(log)
    assert fix(f"$ cmake -B b -DA=1\n{nvtx}")[1] == f"cmake -B b {given}"


_PTX = "ptxas /tmp/a.ptx, line 8; error   : Feature '{}' requires .target sm_80 or higher\nerror: command 'nvcc' failed"
_VISIBLE = "TORCH_CUDA_ARCH_LIST is not set, all archs for visible cards are included for compilation.\n"


@pytest.mark.parametrize(
    ("shown", "what", "too_old"),
    [
        ("GPU 0: Tesla V100-SXM2-32GB (UUID: GPU-1)\n", "cp.async", "7.0"),
        ("|   0  NVIDIA GeForce RTX 2080 Ti   Off | 00000000:01:00.0 Off |\n", "cp.async", "7.5"),
        ("|   0  Tesla T4                 Off | 00000000:00:04.0 Off |\n", ".bf16", "7.5"),
        (f"{_VISIBLE}nvcc -gencode=arch=compute_61,code=sm_61 -c a.cu\n", "cp.async", "6.1"),
        ("GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-1)\nnvcc -gencode=arch=compute_70,code=sm_70\n", "cp.async", ""),
        ("nvcc -gencode=arch=compute_70,code=sm_70 -c a.cu\n", "cp.async", ""),
    ],
)
def test_no_gpu_is_asked_for_what_it_cannot_do(shown: str, what: str, too_old: str) -> None:
    found = findings(f"u@h:~/x$ python setup.py install\n{shown}{_PTX.format(what)}")[0]
    told = "\n".join(found.fix)
    assert found.id == "ptxas-error" and ("ARCH_LIST=8.0" in told) == (not too_old)
    assert not too_old or f"compute capability {too_old}, does not have" in found.cause
    assert ("float16" in told) == (what == ".bf16") and ("setup.py install" in told) == (not too_old)


def _isolated(said: str, command: str = "pip install -e .") -> str:
    return f"u@h:~/x$ {command}\n  Building editable for x (pyproject.toml): started\n      {said}\n"


_DEAD = "/tmp/pip-build-env-old11111/overlay"
_LIVE = 'File "/tmp/pip-build-env-new22222/overlay/lib/python3.11/site-packages/setuptools/build_meta.py", line 4\n'


@pytest.mark.parametrize(
    "said",
    [
        f"CMake Error at CMakeLists.txt:3 (project):\n  Running\n   '{_DEAD}/bin/ninja' '--version'\n  failed with:\n   no such file or directory",
        f"/bin/sh: 1: {_DEAD}/lib/python3.11/site-packages/cmake/data/bin/cmake: not found",
        f"src/a.cpp:1:10: fatal error: {_DEAD}/site-packages/torch/include/torch/extension.h: No such file or directory",
        f"ninja: error: '{_DEAD}/site-packages/torch/lib/libc10.so', needed by 'x.so', missing and no known rule to make it",
        f"make[2]: *** No rule to make target '{_DEAD}/site-packages/torch/lib/libc10.so', needed by 'x.so'.  Stop.",
        "/home/u/.cache/uv/builds-v0/.tmpZz22bb/bin/ninja: No such file or directory",
        "'C:/Users/r/AppData/Local/Temp/pip-build-env-m4knfc7v/overlay/Scripts/ninja.exe' '--version'\n  failed with:\n   The system cannot find the file specified",
    ],
)  # fmt: skip
def test_what_is_left_of_an_earlier_builds_environment_is_deleted(said: str) -> None:
    found = findings(_isolated(f"{said}\n{_LIVE}"))[0]
    assert found.id == "cmake-cache" and "earlier build" in found.cause and "new22222" not in found.cause
    assert any("build" in line and line.startswith(("rm ", "rmdir")) for line in found.fix)
    assert any(line.endswith("pip install -e .") for line in found.fix)


def test_an_environment_that_the_build_runs_in_is_no_earlier_one() -> None:
    assert findings(_isolated(f"{_LIVE}ModuleNotFoundError: No module named 'torch'"))[0].id != "cmake-cache"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("pip install x", "export PIP_BUILD_CONSTRAINT=/tmp/build-constraints.txt"),
        ("uv pip install x", "export UV_BUILD_CONSTRAINT=/tmp/build-constraints.txt"),
        ("pip install --no-build-isolation x", "pip install 'cmake<4'"),
    ],
)
def test_a_build_in_its_own_environment_is_told_which_cmake_to_take(command: str, says: str) -> None:
    said = _isolated("Compatibility with CMake < 3.5 has been removed from CMake.", command)
    assert f"# {says}" in fix(said)


def _linking(symbol: str, by: str) -> str:
    said = f"/usr/bin/ld: main.o: in function `main':\nmain.cpp:(.text+0x1): undefined reference to `{symbol}'\n"
    ends = "collect2: error: ld returned 1 exit status\n"
    if by == "cmake":
        return f"[100%] Linking CXX executable bin/app\n{said}{ends}make[2]: *** [CMakeFiles/app.dir/build.make:9: app] Error 1\n"
    if by == "make":
        return f"u@h:~/x$ make\ng++ main.o -o app\n{said}{ends}make: *** [Makefile:9: app] Error 1\n"
    if by == "setup.py":
        return f"u@h:~/x$ python setup.py install\nbuilding 'ops' extension\n{said}{ends}error: command 'g++' failed\n"
    return f"u@h:~/x$ {by}\n{said}{ends}"


@pytest.mark.parametrize(
    ("symbol", "by", "says"),
    [
        ("initLibNvInferPlugins", "cmake", "add nvinfer_plugin to target_link_libraries of app"),
        ("cublasLtMatmul", "cmake", "add CUDA::cublasLt to target_link_libraries of app, after find_package of CUDAToolkit"),
        ("omp_get_max_threads", "cmake", "add OpenMP::OpenMP_CXX to target_link_libraries of app, after find_package of OpenMP"),
        ("cv::cuda::resize(cv::_InputArray const&)", "cmake", "add the variable OpenCV_LIBS to target_link_libraries of app"),
        ("at::_ops::zeros::call(c10::ArrayRef<long>)", "cmake", "add the variable TORCH_LIBRARIES to target_link_libraries of app"),
        ("boost::filesystem::path::parent_path() const", "cmake", "add Boost::filesystem to target_link_libraries of app"),
        ("launch(float*, int)", "cmake", "to the sources of app in CMakeLists.txt"),
        ("nvmlInit_v2", "make", "write -lnvidia-ml at the end of the line that links"),
        ("nppiResize_8u_C3R", "make", "write -lnppig at the end"),
        ("cusolverDnCreate", "setup.py", "name cusolver in the argument libraries"),
        ("GOMP_parallel", "setup.py", "write -fopenmp into extra_compile_args and extra_link_args"),
        ("cuCtxCreate_v2", "nvcc a.cu -o a", "nvcc a.cu -o a -lcuda"),
        ("sqrt", "gcc-12 a.c -o a", "gcc-12 a.c -o a -lm"),
    ],
)  # fmt: skip
def test_what_is_not_linked_is_named_in_the_words_of_the_build_tool(symbol: str, by: str, says: str) -> None:
    found = findings(_linking(symbol, by))[0]
    told = "\n".join(found.fix)
    assert found.id == "undefined-reference" and says in told
    assert ("setup.py" in told) == (by == "setup.py")


_LD = "/home/u/miniconda3/envs/pt/compiler_compat/ld"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (f"{_LD}: /lib64/libm.so.6: unknown type [0x13] section `.relr.dyn'\n{_LD}: skipping incompatible /lib64/libm.so.6 when searching for /lib64/libm.so.6\n{_LD}: cannot find /lib64/libm.so.6", f"mv {_LD} {_LD}.old"),
        (f"{_LD}: /lib/crti.o: unable to initialize decompress status for section .debug_info\n/lib/crti.o: file not recognized: file format not recognized", f"mv {_LD} {_LD}.old"),
        (f"{_LD}: /usr/lib/libstdc++.so.6: unknown type [0x13] section `.relr.dyn'\n{_LD}: /usr/lib/libstdc++.so.6: error adding symbols: file in wrong format", f"mv {_LD} {_LD}.old"),
        ("/opt/old/bin/ld: /usr/lib/libfoo.a(x.o): unrecognized relocation (0x2a) in section `.text'\nld: final link failed: Bad value", "sudo apt-get install binutils"),
        (f"{_LD}: cannot find -lpthread", f"# mv {_LD} {_LD}.old"),
    ],
)  # fmt: skip
def test_the_first_complaint_of_a_linker_explains_what_it_cannot_find(said: str, line: str) -> None:
    found = findings(f"u@h:~/x$ python setup.py install\n{said}\ncollect2: error: ld returned 1 exit status\n")[0]
    assert (found.id == "linker-too-old") == ("pthread" not in said)
    assert line in found.fix and not any("-B/usr/bin" in text for text in found.fix)
    assert any(text.startswith(("python setup.py", "conda install")) for text in found.fix)
