int rank_rows(THFloatTensor *values, THFloatTensor *ranks);
