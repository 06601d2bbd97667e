#include <torch/extension.h>
#include <math.h>
#include <cstdlib>

struct row { float *cells; float **ends; };

static float *spare = NULL;

static int compare(const void *a, const void *b)
{
  const float *x = (const float *)a, *y = (const float *)b;
  return *x > *y;
}

static struct row *make_row(void)
{
  return (struct row *)calloc(1, sizeof(struct row));
}

static void copy_row(float *__restrict__ to, const float *__restrict__ from, int n)
{
  int i;
  for (i = 0; i < n; i++) to[i] = from[i];
}

int rank_rows(at::Tensor values, at::Tensor ranks)
{
  long i, rows = values.size(0), n = values.size(1);
  float **starts = (float **)malloc(rows * sizeof(float *));
  float *columns[2];
  struct row *row = make_row();
  spare = (float *)malloc(n * sizeof(float));
  row->cells = (float *)malloc(n * sizeof(float));
  row->ends = (float **)malloc(rows * sizeof(float *));
  columns[1] = (std::decay_t<decltype(columns[1])>)malloc(n * sizeof(float));
#pragma omp parallel for
  for (i = 0; i < rows; i++) {
    starts[i] = (std::decay_t<decltype(starts[i])>)malloc(n * sizeof(float));
    copy_row(starts[i], values.data_ptr<float>() + i * n, n);
    qsort(starts[i], n, sizeof(float), compare);
    copy_row(ranks.data_ptr<float>() + i * n, starts[i], n);
    free(starts[i]);
  }
  free(starts);
  return 1;
}
