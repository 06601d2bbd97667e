import os

from torch.utils.ffi import create_extension

here = os.path.dirname(os.path.abspath(__file__))
names = ["rank"]
build = create_extension(
    "_ext.ranks",
    headers=[here + "/src/rank.h"],
    sources=[os.path.join(here, "src", name + ".c") for name in names],
    include_dirs=[f"{here}/src"],
    relative_to=__file__,
    extra_compile_args=["-std=c99", "-fopenmp"],
    extra_link_args=["-fopenmp"],
    with_cuda=False,
)

if __name__ == "__main__":
    build.build()
