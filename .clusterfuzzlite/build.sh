#!/bin/bash -eu
# Makes one fuzzer in $OUT for each target of tools/fuzz.py. compile_python_fuzzer is a program of the base image.
pip3 install torch --index-url https://download.pytorch.org/whl/cpu
pip3 install "setuptools>=77" ninja pyyaml
DCNBUILD_CUDA=off pip3 install --no-build-isolation .

fuzzers=$(mktemp -d)
for target in $(python3 -c "from tools.fuzz import TARGETS; print(*TARGETS)"); do
  cat > "$fuzzers/${target}_fuzzer.py" << END
import sys

from tools.fuzz import main

main([sys.argv[0], "$target", *sys.argv[1:]])
END
  compile_python_fuzzer "$fuzzers/${target}_fuzzer.py" --paths . --collect-all dcnbuild --collect-submodules tools
done
