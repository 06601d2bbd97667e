#!/bin/sh
export TORCH_CUDA_ARCH_LIST="3.5 6.0+PTX;8.6"
python build.py 52
