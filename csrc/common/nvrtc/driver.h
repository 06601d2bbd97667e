// The CUDA driver, found at run time: loads kernels that NVRTC has compiled, and launches them. No
// header of CUDA or torch.
#pragma once

#include <cstddef>
#include <string>

namespace dcnbuild::nvrtc {

/// One kernel by the name that C++ has for it; for each CUDA context, the function that was loaded.
struct Entry;

/// The entry of this name: the same one for the same name. It is never freed.
Entry* entry_of(const std::string& expression);

/// Makes a context of this device current where none is, as the CUDA runtime does: its primary one.
/// False on failure, which last_error() explains.
bool enter(int device);

/// The multiprocessors of the current context's device; 0 if the driver does not say.
int processors();

/// Launches a kernel in the current context: at first it is compiled and loaded there. `arguments`
/// points to one value of `sizes` bytes for each of its `count` parameters. False on failure, which
/// last_error() explains.
bool launch(Entry& entry, unsigned blocks, unsigned threads, void* stream, void** arguments,
            const size_t* sizes, size_t count);

/// Why the last call in this thread failed.
std::string& last_error();

}  // namespace dcnbuild::nvrtc
