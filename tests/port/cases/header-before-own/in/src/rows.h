int rows_dot(THFloatTensor *columns, THFloatTensor *weight, THFloatTensor *output, int n);
