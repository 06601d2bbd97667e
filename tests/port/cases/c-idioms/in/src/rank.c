#include <TH/TH.h>
#include <math.h>

struct row { float *cells; float **ends; };

static float *spare = NULL;

static int compare(const void *a, const void *b)
{
  const float *x = a, *y = b;
  return *x > *y;
}

static struct row *make_row(void)
{
  return calloc(1, sizeof(struct row));
}

static void copy_row(float *restrict to, const float *restrict from, int n)
{
  int i;
  for (i = 0; i < n; i++) to[i] = from[i];
}

int rank_rows(THFloatTensor *values, THFloatTensor *ranks)
{
  long i, rows = THFloatTensor_size(values, 0), n = THFloatTensor_size(values, 1);
  float **starts = malloc(rows * sizeof(float *));
  float *columns[2];
  struct row *row = make_row();
  spare = malloc(n * sizeof(float));
  row->cells = malloc(n * sizeof(float));
  row->ends = malloc(rows * sizeof(float *));
  columns[1] = malloc(n * sizeof(float));
#pragma omp parallel for
  for (i = 0; i < rows; i++) {
    starts[i] = malloc(n * sizeof(float));
    copy_row(starts[i], THFloatTensor_data(values) + i * n, n);
    qsort(starts[i], n, sizeof(float), compare);
    copy_row(THFloatTensor_data(ranks) + i * n, starts[i], n);
    free(starts[i]);
  }
  free(starts);
  return 1;
}
