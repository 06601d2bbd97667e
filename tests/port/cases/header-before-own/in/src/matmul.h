static inline float *scratch(int n) { return (float *)malloc(n * sizeof(float)); }
