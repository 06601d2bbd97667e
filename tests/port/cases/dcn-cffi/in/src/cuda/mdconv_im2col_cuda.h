#ifndef MDCONV_IM2COL_CUDA
#define MDCONV_IM2COL_CUDA

#ifdef __cplusplus
extern "C" {
#endif

void mdconv_im2col_cuda(cudaStream_t stream, const float *image, const float *offset, const float *mask, int channels,
                        int height, int width, int height_out, int width_out, int kernel, int pad, int stride,
                        int dilation, float *columns);

#ifdef __cplusplus
}
#endif

#endif
