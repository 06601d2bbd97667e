#!/bin/sh
export TORCH_CUDA_ARCH_LIST="7.5 7.5+PTX;8.6"
python build.py 52
