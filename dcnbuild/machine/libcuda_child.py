"""Asks libcuda for its version and GPUs and prints them as JSON.

`driver.py` runs it as a script in a process of its own, because a broken driver can hang or crash the process that
loads it. It imports only the standard library, and nothing of dcnbuild.
"""

import ctypes
import json

#: CUdevice_attribute, cuda.h
COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR = 75, 76


def main() -> None:
    """Prints {"cuda": 12020, "gpus": [{"name", "capability", "memory_mib"}], "error": null}."""
    cuda = ctypes.CDLL("libcuda.so.1")
    version, count = ctypes.c_int(), ctypes.c_int()
    if cuda.cuDriverGetVersion(ctypes.byref(version)) != 0:
        version.value = 0
    error = cuda.cuInit(0)
    if error == 0:
        error = cuda.cuDeviceGetCount(ctypes.byref(count))
    gpus = []
    for index in range(count.value):
        device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
        if cuda.cuDeviceGet(ctypes.byref(device), index) != 0:
            continue
        cuda.cuDeviceGetName(name, len(name), device)
        cuda.cuDeviceGetAttribute(ctypes.byref(major), COMPUTE_CAPABILITY_MAJOR, device)
        cuda.cuDeviceGetAttribute(ctypes.byref(minor), COMPUTE_CAPABILITY_MINOR, device)
        cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        gpus.append(
            {
                "name": name.value.decode("utf-8", "replace"),
                "capability": [major.value, minor.value],
                "memory_mib": memory.value >> 20,
            }
        )
    print(json.dumps({"cuda": version.value, "gpus": gpus, "error": error or None}))


if __name__ == "__main__":
    main()
