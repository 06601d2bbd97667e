static inline float *scratch(int n) { return (float *)malloc(n * sizeof(float)); }
struct tree;
struct tree *make_tree(int width);
void grow(struct tree *tree, void *room);
