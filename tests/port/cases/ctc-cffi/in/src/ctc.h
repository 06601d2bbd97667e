int cpu_ctc(THFloatTensor *probs, THFloatTensor *grads, THIntTensor *labels);
