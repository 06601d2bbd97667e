#include <thrust/device_vector.h>
#include <thrust/functional.h>
#include <thrust/transform.h>
#include <cuda/std/functional>

template <typename T>
struct is_zero { using result_type = bool;
  __host__ __device__ bool operator()(const T& x) const { return x == 0; }
};

struct less { using result_type = bool;
  __host__ __device__ result_type operator()(const int& a, const int& b) const { return a < b; }
};

void copy(thrust::device_vector<int>& v) {
  thrust::transform(v.begin(), v.end(), v.begin(), ::cuda::std::identity());
}
