int mdconv_forward(THDoubleTensor *input, THDoubleTensor *weight, THDoubleTensor *bias, THDoubleTensor *ones,
                   THDoubleTensor *offset, THDoubleTensor *mask, THDoubleTensor *output, THDoubleTensor *columns,
                   int stride, int pad, int dilation, int groups);

int mdconv_backward(THDoubleTensor *input, THDoubleTensor *weight, THDoubleTensor *bias, THDoubleTensor *ones,
                    THDoubleTensor *offset, THDoubleTensor *mask, THDoubleTensor *columns, THDoubleTensor *grad_input,
                    THDoubleTensor *grad_weight, THDoubleTensor *grad_bias, THDoubleTensor *grad_offset,
                    THDoubleTensor *grad_mask, THDoubleTensor *grad_output, int stride, int pad, int dilation,
                    int groups);
