int pool_forward(at::Tensor x, at::Tensor y);
