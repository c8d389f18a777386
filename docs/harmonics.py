"""The figure of the conventions page, drawn anew for every build: the harmonics that the code uses."""

from pathlib import Path

import numpy as np
import torch
from e3nn import o3
from matplotlib.figure import Figure

from densitylab.density.conventions import E3NN_AXES

BLUE, RED = np.array([0.13, 0.40, 0.67, 1.0]), np.array([0.70, 0.09, 0.17, 1.0])


def draw(file: Path, l_max: int = 3) -> None:
    """Surfaces at the distance |Y_lm| from the origin, blue where it is positive."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, 61), np.linspace(0, 2 * np.pi, 121), indexing="ij")
    n = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    for l in range(l_max + 1):
        seen = torch.as_tensor(n)[..., E3NN_AXES]
        values = o3.spherical_harmonics(l, seen, normalize=True, normalization="integral").numpy()
        for m in range(-l, l + 1):
            axes = figure.add_subplot(l_max + 1, 2 * l_max + 1, l * (2 * l_max + 1) + l_max + 1 + m, projection="3d")
            y = values[..., m + l, None]
            surface = np.moveaxis(np.abs(y) * n, -1, 0)
            axes.plot_surface(*surface, facecolors=np.where(y > 0, BLUE, RED), rstride=1, cstride=1, antialiased=False)
            reach = np.abs(surface).max()
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach), box_aspect=(1, 1, 1))
            axes.set_axis_off()
            axes.set_title(f"l = {l}, m = {m}", fontsize=8, pad=-4)
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, dpi=110)
