from setuptools import setup, Extension

CUDA = {'lib64': '/usr/local/cuda/lib64', 'include': '/usr/local/cuda/include'}
setup(
    name='nms',
    ext_modules=[Extension('gpu_nms', ['k.cu', 'gpu_nms.pyx'], libraries=['cudart'], language='c++',
                           extra_compile_args={'gcc': ['-std=c++11'], 'nvcc': ['-arch=sm_75', '-std=c++11']})],
)
