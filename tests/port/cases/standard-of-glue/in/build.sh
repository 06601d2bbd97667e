nvcc -c src/half.cu -o half.o -arch=sm_75 -std=c++11 -Xcompiler -fPIC
