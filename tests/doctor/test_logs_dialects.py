"""What compilers, linkers and CMake say of sources and configurations that are not written for them."""

from __future__ import annotations

import re

import pytest
from doctor.reading import findings

_SITE = "/e/lib/python3.12/site-packages"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("a.cpp:8:4: error: 'struct AVStream' has no member named 'codec'", "FFmpeg 5"),
        ("a.cpp:8:4: error: 'CODEC_FLAG_GLOBAL_HEADER' was not declared in this scope", "AV_CODEC_FLAG_GLOBAL_HEADER"),
        ("a.cpp:8:4: error: 'AVFrame' has no member named 'channels'", "FFmpeg 7"),
        ("a.cpp:8:4: error: use of undeclared identifier 'CV_LOAD_IMAGE_GRAYSCALE'", "cv::IMREAD_GRAYSCALE"),
        ('a.cu(8): error: identifier "CV_L2" is undefined', "cv::NORM_L2"),
        ("C:\\a.cpp(80): error C2039: 'destroy': is not a member of 'nvinfer1::ICudaEngine'", "TensorRT 10"),
        ("a.cpp:8:4: error: 'LocalParameterization' in namespace 'ceres' does not name a type", "Ceres Solver 2.2"),
        ("a.cpp:8:4: error: 'io_service' is not a member of 'boost::asio'", "boost::asio::io_context"),
        ("a.cpp:8:4: error: no type named 'StringPiece' in namespace 'google::protobuf'", "absl::string_view"),
        ("a.cpp:8:4: fatal error: tbb/atomic.h: No such file or directory", "oneTBB 2021"),
        ("a.cpp:8:4: fatal error: 'OpenEXR/ImathVec.h' file not found", "Imath/ImathVec.h"),
        (
            "C:\\a.cpp(8): fatal error C1083: Cannot open include file: 'opencv/cv.h': No such file",
            "opencv2/opencv.hpp",
        ),
        ("a.c:8:4: fatal error: sys/sysctl.h: No such file or directory", "glibc 2.32"),
        ("a.cpp:8:4: error: invalid conversion from ‘const AVCodec*’ to ‘AVCodec*’ [-fpermissive]", "FFmpeg 5"),
    ],
)
def test_what_a_library_has_removed(log: str, said: str) -> None:
    found = findings(f"g++ -c a.cpp\n{log}\n")[0]
    assert found.id == "library-api-changed"
    assert said in f"{found.cause} {found.fix}"


@pytest.mark.parametrize(
    ("log", "finding", "fix"),
    [
        ("src/a.c:5:9: error: expected identifier or '(' before 'true'", "c-standard", "CFLAGS=-std=gnu17"),
        ("src/a.c:5:9: error: too many arguments to function ‘f’; expected 0, have 2", "c-standard", "-std=gnu17"),
        (
            "src/a.c:5:9: error: conflicting types for ‘f’; have ‘int(int)’\nnote: previous declaration of ‘f’ with type "
            "‘int(void)’\nmake: *** [Makefile:3: a.o] Error 1",
            "c-standard",
            "make .*-std=gnu17",
        ),
        (
            "clang++ --offload-arch=gfx942 -c a.hip\na.hip:5:9: error: non-type template argument is not a constant "
            "expression\n  foo<warpSize>();",
            "rocm",
            "ROCm 6.4",
        ),
        (
            "-std=c++20\ng++-10 (Ubuntu 10.5.0) 10.5.0\na.cpp:5:9: error: 'source_location' is not a member of 'std'",
            "gcc-too-old",
            "gcc-11",
        ),
        (
            "/usr/local/cuda-12.4/targets/x86_64-linux/include/cub/util_device.cuh(9): error: qualified name is not allowed"
            "\nnvcc -std=c++11",
            "library-headers",
            "-std=c",
        ),
        (
            "/w/net/third_party/fmt/include/fmt/core.h:9:9: error: expected ';'",
            "library-headers",
            "git clone .* /w/net/third_party/fmt",
        ),
        (
            f"{_SITE}/pybind11/include/pybind11/cast.h:9:9: error: invalid use of incomplete type ‘PyFrameObject’ "
            "{aka ‘struct _frame’}\nPython 3.13.1",
            "torch-too-old-for-python",
            r"pybind11>=2\.11",
        ),
        ("ld.lld: error: undefined hidden symbol: f", "undefined-reference", "f"),
        (
            "rust-lld: error: relocation R_X86_64_32 cannot be used against symbol 'f'; recompile with -fPIC\n"
            ">>> defined in /w/target/release/build/candle-kernels-0123456789abcdef/out/libk.a(a.o)\n"
            ">>> referenced by tmpxft_0002_a.cudafe1.cpp",
            "not-pic",
            "cargo clean -p candle-kernels",
        ),
        ("ld.lld: error: relocation R_X86_64_PC32 out of range: 99 is not in [-9, 9]", "relocation-overflow", "."),
        ("/usr/bin/ld: a.o: Relocations in generic ELF (EM: 183)", "wrong-architecture", "."),
        ("/usr/bin/ld: unrecognized option '--push-state'", "linker-too-old", "binutils"),
        (
            'a.obj : error LNK2019: unresolved external symbol "class c10::cuda::CUDAStream __cdecl c10::cuda::'
            'getCurrentCUDAStream(short)" (?x@@Z) referenced in function f',
            "undefined-reference",
            "torch_cuda",
        ),
        ("clang: error: unable to execute command: Killed", "out-of-memory", "MAX_JOBS=1"),
        ("clang++: error: unsupported HIP gpu architecture: gfx1150", "rocm", "gfx1150"),
        ("error: failed to run custom build command for `openssl-sys v0.9.102`", "dependency-missing", "libssl-dev"),
        ("error: casting `&T` to `&mut T` is undefined behavior", "rust-missing", "invalid_reference_casting"),
        ("main.cu:5:10: fatal error: helper_math.h: No such file or directory", "header-missing", "cuda-samples"),
    ],
)
def test_what_todays_tools_refuse(log: str, finding: str, fix: str) -> None:
    found = findings(f"{log}\n")[0]
    assert found.id == finding
    assert re.search(fix, "\n".join(found.fix)) or fix == "."


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            "CMake Error at B.cmake:9 (find_package):\n  Could not find a package configuration file provided by\n"
            '  "boost_system" (requested version 1.89.0) with any of the following names:',
            "Boost 1.89",
        ),
        (
            'CMake Error at CMakeLists.txt:3 (find_package):\n  Could not find a configuration file for package "Eigen3" '
            'that is compatible\n  with requested version "3.4".\n\n  The following configuration files were considered:'
            "\n\n    /usr/share/cmake/eigen3/Eigen3Config.cmake, version: 5.0.0",
            "Eigen3 5.0.0 is installed",
        ),
        ('CMake Error at CMakeLists.txt:9 (ament_package):\n  Unknown CMake command "ament_package".', "ROS"),
        (
            '-- The CUDA compiler identification is NVIDIA 11.4.48\nCMake Error in CMakeLists.txt:\n  Target "ops" requires '
            'the language dialect "CUDA20" (with compiler extensions).',
            "nvcc needs CUDA 12.0",
        ),
        (
            'CMake Error at p.cmake:71 (set_target_properties):\n  The link interface of target "grpc::g" contains:\n\n'
            "    absl::check\n\n  but the target was not found.",
            "a target of Abseil",
        ),
        (
            "-- The CUDA compiler identification is unknown\n-- The CXX compiler identification is GNU 14.2.1\n"
            "g++ (GCC) 14.2.1 20240801\nCuda compilation tools, release 12.3, V12.3.107",
            "gcc 14 is newer than CUDA 12.3",
        ),
    ],
)
def test_what_cmake_says(log: str, said: str) -> None:
    assert said in findings(f"$ cmake ..\n{log}\n\n")[0].cause


@pytest.mark.parametrize(
    "log",
    [
        "/io/opencv/modules/core/include/opencv2/core/mat.hpp:9:9: error: expected ';'",  # OpenCV itself is built
        "src/a.cpp:5:9: error: expected identifier before 'true'",  # C++ has had that word for long
        "src/a.c:5:9: error: conflicting types for ‘f’; have ‘int(int)’\nnote: previous declaration with ‘int(long)’",
        "src/a.hip:5:9: error: constexpr variable 'n' must be initialized by a constant expression",
    ],
)
def test_what_is_not_told_of_a_library_or_standard(log: str) -> None:
    assert findings(f"{log}\n")[0].id == "compile-error"
