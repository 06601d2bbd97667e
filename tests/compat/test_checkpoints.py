"""Old checkpoints: keys of either name load into every module, and pickles of whole old modules load."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hang import HANG
from torch import nn

import dcnbuild
from dcnbuild.compat import dcn_v2, mmcv
from dcnbuild.compat.checkpoints import with_own_keys

MAKERS = {
    "dcnbuild.DCN": lambda: dcnbuild.DCN(4, 6, 3, padding=2, dilation=2, offset_groups=2),
    "dcn_v2.DCN": lambda: dcn_v2.DCN(4, 6, 3, 1, 2, 2, 2),
    "mmcv.ModulatedDeformConv2dPack": lambda: mmcv.ModulatedDeformConv2dPack(
        4, 6, 3, padding=2, dilation=2, deform_groups=2
    ),
}


def _disturbed(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


@pytest.mark.parametrize("nested", [False, True], ids=["alone", "nested"])
@pytest.mark.parametrize("target", MAKERS)
@pytest.mark.parametrize("source", MAKERS)
def test_every_checkpoint_loads_into_every_module(source: str, target: str, nested: bool) -> None:
    old, new = _disturbed(MAKERS[source]()), MAKERS[target]()
    if nested:
        old, new = (nn.Sequential(nn.Sequential(m), nn.ReLU()) for m in (old, new))
    state = old.state_dict()
    keys = list(state)
    assert str(new.load_state_dict(state)) == "<All keys matched successfully>"
    assert list(state) == keys, "the checkpoint itself was changed"
    x = torch.randn(2, 4, 7, 6)
    torch.testing.assert_close(new(x), old(x))


def test_keys_beside_the_module_load() -> None:
    """mmdetection before 1.0: conv2_offset.weight for conv2. A module that is really called so keeps its own."""

    class Block(nn.Module):
        def __init__(self, has_sibling: bool) -> None:
            super().__init__()
            self.conv2 = mmcv.DeformConv2dPack(2, 3, 3, padding=1)
            if has_sibling:
                self.conv2_offset = nn.Conv2d(2, 18, 3)

    new = nn.Sequential(Block(False))
    values = {key: torch.randn_like(value) for key, value in new.state_dict().items()}
    old = {key.replace("conv2.conv_offset", "conv2_offset"): v for key, v in values.items()}
    assert "0.conv2_offset.weight" in old
    keys = list(old)
    assert str(new.load_state_dict(with_own_keys(old, new))) == "<All keys matched successfully>"
    assert all(torch.equal(value, values[key]) for key, value in new.state_dict().items())
    assert list(old) == keys
    both = nn.Sequential(Block(True))
    state = both.state_dict()
    assert with_own_keys(state, both).keys() == state.keys()
    # mmcv 1.x hands every module the whole dictionary.
    whole = dict(old)
    Block(False).conv2._load_from_state_dict(whole, "0.conv2.", {}, True, [], [], [])
    assert whole.keys() == values.keys()


def test_a_checkpoint_of_another_kind_is_refused() -> None:
    v1, v2 = mmcv.DeformConv2dPack(4, 6, 3), dcn_v2.DCN(4, 6, 3, 1, 0)
    with pytest.raises(RuntimeError, match="size mismatch for conv_offset_mask"):
        v2.load_state_dict({**v1.state_dict(), "bias": torch.zeros(6)})
    state = {"weight": v2.weight, "bias": v2.bias}
    with pytest.raises(RuntimeError, match=r"Missing key.*conv_offset_mask"):
        v2.load_state_dict(state)


#: what an old package would be: classes of the old shape, that compute with torchvision
OLD_DCN_V2 = """
import torch, torchvision
from torch import nn

class DCNv2(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride, padding, dilation=1, deformable_groups=1):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = (kernel_size, kernel_size)
        self.stride, self.padding, self.dilation = stride, padding, dilation  # ints, as in some forks
        self.deformable_groups = deformable_groups
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, *self.kernel_size))
        self.bias = nn.Parameter(torch.randn(out_channels))

    def forward(self, input, offset, mask):
        return torchvision.ops.deform_conv2d(
            input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask)

class DCN(DCNv2):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        channels = 3 * self.deformable_groups * self.kernel_size[0] ** 2
        self.conv_offset_mask = nn.Conv2d(self.in_channels, channels, self.kernel_size, self.stride, self.padding)

    def forward(self, input):
        one, two, mask = self.conv_offset_mask(input).chunk(3, dim=1)
        return super().forward(input, torch.cat((one, two), dim=1), mask.sigmoid())
"""

WRITE = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from {module} import DCN
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), DCN(4, 6, 3, 1, 1, 1, 2)).eval()
x = torch.randn(2, 3, 7, 6)
with torch.no_grad():
    torch.save(dict(model=model, x=x, y=model(x)), sys.argv[2])
"""

READ = """
import sys, torch
import dcnbuild.compat
dcnbuild.compat.install()
saved = torch.load(sys.argv[1], weights_only=False)
print(type(saved["model"][1]).__module__, saved["model"][1])
with torch.no_grad():
    torch.testing.assert_close(saved["model"](saved["x"]), saved["y"], rtol=1e-4, atol=1e-5)
again = saved["model"][1]
assert again.stride == (1, 1) and again.groups == 1 and not again.training
torch.save(again, sys.argv[1])
"""


def _python(code: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("module", ["dcn_v2", "DCNv2.dcn_v2", "lib.models.networks.DCNv2.dcn_v2"])
def test_pickles_of_whole_old_models_load(module: str, tmp_path: Path) -> None:
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    repository, pickled = tmp_path / "repository", tmp_path / "model.pth"
    source = repository / Path(*module.split(".")).with_suffix(".py")
    source.parent.mkdir(parents=True)
    source.write_text(OLD_DCN_V2)
    _python(WRITE.format(module=module), repository, pickled)
    # The repository is not on the path any more.
    if not module.startswith("lib"):
        assert _python(READ, pickled).startswith("dcnbuild.compat.dcn_v2 DCN(")
        # Pickled again, it asks for dcnbuild only.
        _python("import sys, torch; torch.load(sys.argv[1], weights_only=False)", pickled)
    else:
        (source.parent / "dcn_v2.py").write_text("raise ImportError('no module named _ext')")
        path = f"import sys; sys.path.insert(0, {str(repository)!r})\n"
        assert _python(path + READ, pickled).startswith("dcnbuild.compat.dcn_v2 DCN(")


def test_the_forgotten_dilation_of_a_pickled_dcn_is_mended() -> None:
    module: Any = dcn_v2.DCN(4, 6, 3, 1, 2, 2)
    module.conv_offset_mask.dilation = (1, 1)
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    assert loaded.conv_offset_mask.dilation == (2, 2)
    assert loaded(torch.randn(1, 4, 6, 5)).shape == (1, 6, 6, 5)


def test_pickles_of_mmcv_load_without_mmcv(tmp_path: Path) -> None:
    pickled = tmp_path / "pack.pth"
    write = """
import sys, types, torch
from torch import nn
class ModulatedDeformConv2dPack(nn.Module):
    pass
module = types.ModuleType("mmcv.ops.modulated_deform_conv")
ModulatedDeformConv2dPack.__module__ = module.__name__
module.ModulatedDeformConv2dPack = ModulatedDeformConv2dPack
sys.modules.update({name: types.ModuleType(name) for name in ("mmcv", "mmcv.ops")})
sys.modules[module.__name__] = module
pack = ModulatedDeformConv2dPack()
pack.__dict__.update(in_channels=2, out_channels=3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1),
                     groups=1, deform_groups=1, transposed=False, output_padding=(0,))
pack.weight, pack.bias = nn.Parameter(torch.ones(3, 2, 3, 3)), nn.Parameter(torch.zeros(3))
pack.conv_offset = nn.Conv2d(2, 27, 3, padding=1)
nn.init.zeros_(pack.conv_offset.weight); nn.init.zeros_(pack.conv_offset.bias)
torch.save(pack, sys.argv[1])
"""
    _python(write, pickled)
    read = """
import sys, torch, dcnbuild.compat
dcnbuild.compat.install("mmcv.ops")
pack = torch.load(sys.argv[1], weights_only=False)
print(type(pack).__module__, pack(torch.ones(1, 2, 5, 5))[0, 0, 2, 2].item())
"""
    assert _python(read, pickled).split() == ["dcnbuild.compat.mmcv", "9.0"]
