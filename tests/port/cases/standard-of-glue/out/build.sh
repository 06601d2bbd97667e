nvcc -c src/half.cu -o half.o -arch=sm_75 -std=c++20 -Xcompiler -fPIC
