#ifdef __cplusplus
extern "C" {
#endif
void run_nms(float* boxes, int n, float threshold);
#ifdef __cplusplus
}
#endif
