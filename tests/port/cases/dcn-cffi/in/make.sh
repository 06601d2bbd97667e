#!/usr/bin/env bash
cd src/cuda
nvcc -c -o mdconv_im2col_cuda.cu.o mdconv_im2col_cuda.cu -x cu -Xcompiler -fPIC -arch=sm_35
cd ../..
python build.py
