#include <TH/TH.h>
#include "order.h"

int jagged_max(THFloatTensor *values, THLongTensor *ends, THFloatTensor *out)
{
  long n = THLongTensor_nElement(ends), i, j = TH_INDEX_BASE;
  float *in = THFloatTensor_data(values), *new = malloc(n * sizeof(float));
  int *class = make_order(n);
  for (i = 0; i < n; i++)
    for (new[i] = in[j]; j < THLongTensor_data(ends)[i]; j++)
      new[i] = THMax(new[i], in[j]);
  for (i = 0; i < n; i++)
    THFloatTensor_data(out)[class[i]] = new[i];
  free(new);
  free(class);
  return 1;
}
