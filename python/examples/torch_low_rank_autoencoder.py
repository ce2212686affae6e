# SPDX-License-Identifier: BSD-3-Clause
"""A low-rank autoencoder in PyTorch: the code of a batch is kept at rank 2 by svdgrad.torch.low_rank.

Twelve sensors see two hidden signals through a smooth nonlinearity.  Encoder and decoder are small networks; between
them the codes of the batch (200 x 6) are replaced by their nearest matrix of rank 2, so that the network must unbend the
nonlinearity.  The gradient through the truncation is exact.

Run it: python torch_low_rank_autoencoder.py [figure.png]
"""

import sys

import torch

import svdgrad.torch as svdgrad


def measurements(count=200, sensors=12):
    """What the sensors see, (count, sensors), and the hidden signals, (count, 2)."""
    generator = torch.Generator().manual_seed(0)
    t = torch.linspace(0, 6.28, count)
    hidden = torch.stack([torch.sin(t), torch.cos(2 * t)], -1)
    mixing = torch.randn(2, sensors, generator=generator)
    return torch.tanh(hidden @ mixing) + 0.02 * torch.randn(count, sensors, generator=generator), hidden


class LowRankAutoencoder(torch.nn.Module):
    def __init__(self, sensors, width=6, rank=2):
        super().__init__()
        self.rank = rank
        self.encoder = torch.nn.Sequential(torch.nn.Linear(sensors, 32), torch.nn.Tanh(), torch.nn.Linear(32, width))
        self.decoder = torch.nn.Sequential(torch.nn.Linear(width, 32), torch.nn.Tanh(), torch.nn.Linear(32, sensors))

    def forward(self, x):
        code = self.encoder(x)
        return self.decoder(svdgrad.low_rank(code, self.rank)), code


def train(steps=300):
    """The model, the loss of each step, and the data."""
    torch.manual_seed(0)
    x, hidden = measurements()
    model = LowRankAutoencoder(x.shape[-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        y, _ = model(x)
        loss = torch.mean((y - x) ** 2)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses, x, hidden


def figure(path, losses, y, x, values):
    try:
        import matplotlib
    except ImportError:
        print("no figure: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams["font.size"] = 12
    _, (left, middle, right) = plt.subplots(3, 1, figsize=(6.4, 9))
    left.semilogy(losses)
    left.set(title="mean squared error", xlabel="step")
    middle.plot(x[:, :3], ".", markersize=3, color="gray")
    middle.plot(y[:, :3])
    middle.set(title="three sensors and what rank 2 gives", xlabel="time")
    right.bar(range(1, len(values) + 1), values)
    right.set(title="singular values of the code", xlabel="number")
    plt.tight_layout()
    plt.savefig(path, dpi=120)
    print(f"figure: {path}")


def main():
    model, losses, x, hidden = train()
    with torch.no_grad():
        y, code = model(x)
        values = svdgrad.svdvals(code)
    print(f"mean squared error: {losses[0]:.4f} at the start, {losses[-1]:.4f} at the end; the data: {x.var():.4f}")
    print("singular values of the code:", ", ".join(f"{v:.2f}" for v in values.tolist()))
    if len(sys.argv) > 1:
        figure(sys.argv[1], losses, y, x, values)
    assert losses[-1] < 0.05 * losses[0]


if __name__ == "__main__":
    main()
