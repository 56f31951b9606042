"""PyTorch on the CPU: eager, images as [batch, channels, height, width], Adam's fused form. Needs torch and numpy."""

import os
import sys

sys.path[0] = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python")

from serve import Unsupported, serve

LEARNING_RATE = 1e-5


def open_peer(threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(1)
    return {"version": torch.__version__, "backend": "cpu", "threads": threads, "start": start}


def start(unit):
    name, batch = unit["workload"], unit["batch"]
    if name == "matmul":
        return product(unit["case"])
    if name == "inference":
        return inference(batch)
    networks = {"cifar10-cnn": cifar10, "mlp": mlp}
    if name not in networks:
        raise Unsupported(f"{name} is not written in PyTorch here")
    return training(*networks[name](batch))


def training(model, inputs, targets):
    import torch

    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    loss_function = torch.nn.CrossEntropyLoss()
    model.train()

    def step():
        optimizer.zero_grad(set_to_none=True)
        logits = model(inputs)
        loss = loss_function(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def inference(batch):
    import torch

    model, inputs, _ = cifar10(batch)
    model.eval()

    def step():
        with torch.inference_mode():
            model(inputs)

    return step


def product(case):
    import torch

    sizes = [int(size) for size in case.split("x")]
    rows, inner, columns = sizes if len(sizes) == 3 else sizes * 3
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)

    def step():
        torch.mm(left, right)

    return step


def cifar10(batch):
    import torch
    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(3, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1024, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    return model, torch.rand(batch, 3, 32, 32), torch.randint(10, (batch,))


def mlp(batch):
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return model, torch.rand(batch, 784), torch.randint(10, (batch,))


if __name__ == "__main__":
    serve(open_peer)
