"""Which sites matter to which points: sums over sites, tile by tile of points, so that work and memory stay bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from densitylab.density.expansion import Reach, Sites

Term = Callable[[Sites, Tensor], Tensor]
"""(sites, points (P, 3)) → (P, …), the sum over these sites."""

TILE = 1024
_BLOCK = 2**21  # numbers in the largest array of a step: 16 MB


def sum_over_sites(
    parts: Sequence[Sites], points: Tensor, shape: tuple[int, ...], near: Term, reach: Reach,
    far: Term | None = None, tile: int = TILE,
) -> Tensor:  # fmt: skip
    """(P, …) sum of ``near`` over the shells within reach, of ``far`` (or of nothing) over others."""
    check_points(points)
    if not len(points):
        return points.new_zeros(0, *shape)
    order = compact_order(points.detach(), tile)
    rows = [_of_tile(parts, points[index], shape, near, reach, far) for index in order.split(tile)]
    return torch.cat(rows)[torch.argsort(order)]


def check_points(points: Tensor) -> None:
    """Raise ``ValueError`` unless they are (P, 3)."""
    if points.dim() != 2 or points.shape[1] != 3:
        raise ValueError(f"points must be (P, 3), not {tuple(points.shape)}")


def _of_tile(
    parts: Sequence[Sites], points: Tensor, shape: tuple[int, ...], near: Term, reach: Reach, far: Term | None
) -> Tensor:
    total = points.new_zeros(len(points), *shape)
    for sites in parts:
        squared = _squared_distances(sites.centers, points)
        close = ~(squared >= sites.squared_reach(reach))  # also where a point is not a number
        for rows in _blocks(sites, squared, close, len(points)):
            inside, outside = sites[rows].split(squared[rows[0]], reach)
            total = total + near(inside, points)
            if far and outside.exponents:
                total = total + far(outside, points)
        if far:
            for rows in _blocks(sites, squared, ~close, len(points)):
                total = total + far(sites[rows], points)
    return total


def _squared_distances(centers: Tensor, points: Tensor) -> Tensor:
    """(B,) from the centres to the box around the points."""
    low, high = points.detach().amin(0), points.detach().amax(0)
    outside = torch.maximum(low - centers.detach(), centers.detach() - high).clamp(min=0)
    return outside.square().sum(-1)


def _blocks(sites: Sites, squared: Tensor, chosen: Tensor, points: int) -> Iterator[Tensor]:
    """Indices of the chosen sites, the closest first, as many at a time as memory is given to."""
    width = sum(max(alpha.shape[1], 2 * l + 1) for l, alpha in sites.exponents.items())
    rows = torch.nonzero(chosen).flatten()
    return (part for part in rows[squared[rows].argsort()].split(max(1, _BLOCK // (points * width))) if len(part))


def compact_order(points: Tensor, size: int) -> Tensor:
    """(P,) order in which every ``size`` consecutive points lie together: halves of halves, along the longest axis."""
    whole = torch.arange(len(points), device=points.device)
    done, todo = [], [whole]
    while todo:
        index = todo.pop()
        if len(index) <= size:
            done.append(index)
            continue
        own = points[index]
        axis = int((own.amax(0) - own.amin(0)).argmax())
        index = index[own[:, axis].argsort(stable=True)]
        middle = -(-len(index) // (2 * size)) * size
        todo += [index[middle:], index[:middle]]
    return torch.cat(done)
