#include <torch/extension.h>
void f() { cudaThreadSynchronize(); }
