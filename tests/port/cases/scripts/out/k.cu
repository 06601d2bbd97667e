#include <torch/extension.h>
void f() { cudaDeviceSynchronize(); }
