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
    networks = {"cifar10-cnn": cifar10, "mlp": mlp, "lstm": lstm, "gpt-nano": gpt_nano, "resnet8": resnet8}
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


def lstm(batch):
    import torch
    from torch import nn

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(64, 128, batch_first=True)
            self.head = nn.Linear(128, 10)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    return Classifier(), torch.rand(batch, 64, 64), torch.randint(10, (batch,))


def gpt_nano(batch, layers=4, heads=4, width=128, context=128, vocabulary=65):
    import torch
    from torch import nn
    from torch.nn.functional import scaled_dot_product_attention

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.project = nn.Linear(width, 3 * width)
            self.output = nn.Linear(width, width)

        def forward(self, x):
            split = self.project(x).view(*x.shape[:2], 3, heads, width // heads)
            query, key, value = split.permute(2, 0, 3, 1, 4)
            attended = scaled_dot_product_attention(query, key, value, is_causal=True)
            return self.output(attended.transpose(1, 2).reshape(x.shape))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.Sequential(nn.LayerNorm(width), Attention())
            self.feedforward = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x):
            x = x + self.attention(x)
            return x + self.feedforward(x)

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(vocabulary, width)
            self.positions = nn.Parameter(torch.randn(context, width) * 0.02)
            self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
            self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, vocabulary))

        def forward(self, tokens):
            return self.head(self.blocks(self.tokens(tokens) + self.positions))

    text = torch.randint(vocabulary, (batch, context + 1))
    return Gpt(), text[:, :-1].contiguous(), text[:, 1:].contiguous()


def resnet8(batch):
    import torch
    from torch import nn

    def convolve(inputs, outputs, stride, size=3):
        convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.first = convolve(inputs, outputs, stride)
            self.second = convolve(outputs, outputs, 1)
            self.shortcut = convolve(inputs, outputs, stride, size=1) if stride > 1 else nn.Identity()

        def forward(self, x):
            return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))

    model = nn.Sequential(
        convolve(3, 16, 1),
        nn.ReLU(),
        Block(16, 16, 1),
        Block(16, 32, 2),
        Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    return model, torch.rand(batch, 3, 32, 32), torch.randint(10, (batch,))


if __name__ == "__main__":
    serve(open_peer)
