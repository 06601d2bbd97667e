#include <stdlib.h>
#include "order.h"

struct link { int class; struct link *this; };

int *make_order(int n)
{
  int *template = malloc(n * sizeof(int)), delete;
  struct link *last = calloc(1, sizeof(struct link));
  last->this = last;
  for (delete = 0; delete < n; delete++)
    template[delete] = last->this->class++;
  free(last);
  return template;
}
