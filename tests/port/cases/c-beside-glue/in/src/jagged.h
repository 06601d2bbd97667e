int jagged_max(THFloatTensor *values, THLongTensor *ends, THFloatTensor *out);
