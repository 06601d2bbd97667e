int cpu_nms(THLongTensor* keep, THFloatTensor* boxes, float threshold);
