"""A process of test_distributed.py: trains one step under DDP or FSDP2, and writes the gradients and weights.

python distributed_worker.py RANK WORLD FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

# the tests' modules, as pytest finds them
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import torch.distributed as dist
from integration.features import FEATURES
from integration.models import Aligned, image
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def step(model: nn.Module, x: Tensor) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(x).square().mean().backward()
    optimizer.step()


def whole(tensor: Tensor) -> Tensor:
    """Gathers a sharded tensor on every rank."""
    full: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full.detach().clone()


def state(model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Gradients and weights of all parameters; each must have a gradient."""
    gradients, weights = {}, {}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        gradients[name.removeprefix("module.")] = whole(parameter.grad)
        weights[name.removeprefix("module.")] = whole(parameter)
    return {"gradients": gradients, "weights": weights}


def main(rank: int, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=world)
    share = image(2 * world, 3, 9, 8)[2 * rank : 2 * rank + 2]

    replicated = DistributedDataParallel(Aligned())
    step(replicated, share)
    torch.save(state(replicated), folder / f"ddp{rank}.pt")

    if FEATURES["fully_shard"]():
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh("cpu", (world,))
        sharded = Aligned()
        for layer in (sharded.first, sharded.second):
            fully_shard(layer, mesh=mesh)
        fully_shard(sharded, mesh=mesh)
        local = sharded.second.weight.to_local().numel()  # type: ignore[attr-defined]
        step(sharded, share)
        found = {**state(sharded), "local": local}
        torch.save(found, folder / f"fsdp{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
