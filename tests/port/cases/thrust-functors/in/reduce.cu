#include <thrust/device_vector.h>
#include <thrust/functional.h>
#include <thrust/transform.h>

template <typename T>
struct is_zero : public thrust::unary_function<T, bool> {
  __host__ __device__ bool operator()(const T& x) const { return x == 0; }
};

struct less : thrust::binary_function<int, int, bool> {
  __host__ __device__ result_type operator()(const int& a, const int& b) const { return a < b; }
};

void copy(thrust::device_vector<int>& v) {
  thrust::transform(v.begin(), v.end(), v.begin(), thrust::identity<int>());
}
