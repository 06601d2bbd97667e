#include <stdlib.h>
#include "order.h"

struct link { int class_; struct link *this_; };

int *make_order(int n)
{
  int *template_ = (int *)malloc(n * sizeof(int)), delete_;
  struct link *last = (struct link *)calloc(1, sizeof(struct link));
  last->this_ = last;
  for (delete_ = 0; delete_ < n; delete_++)
    template_[delete_] = last->this_->class_++;
  free(last);
  return template_;
}
