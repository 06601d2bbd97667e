#ifdef __cplusplus
extern "C" {
#endif
void PoolForwardGpu(cudaStream_t stream, const float* features, float* output, int n, float scale);
#ifdef __cplusplus
}
#endif
