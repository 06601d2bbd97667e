int *make_order(int n);
