from distutils.core import setup

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension

setup(name="detector", ext_modules=cythonize([Extension("boxes", ["boxes.pyx"], include_dirs=[np.get_include()])]))
