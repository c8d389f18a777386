"""Sums Σ c_k f_l(α, |d|²) S_lm(d) of atom-centred terms at points, and their derivatives.

A density and the potential it makes differ in f only (:mod:`.radial`). Derivatives need nothing new either: those of f
with respect to |d|², and ∂_i S_lm, which is a fixed combination of the S_(l−1)m'. Work and memory grow linearly: points
are cut into compact tiles, and a tile meets only the sites within reach.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from densitylab.density.conventions import E3NN_AXES
from densitylab.density.radial import Radial
from densitylab.density.shells import Shells, norm

Reach = Callable[[int], float]
"""l → α d² from which on a shell is as good as gone, or its potential that of a point."""


@dataclass(frozen=True)
class Sites:
    """B sites alike: ``centers`` (B, 3), and for every l ``exponents`` (B, n_l) and ``weights`` (B, n_l, 2l + 1)."""

    centers: Tensor
    exponents: dict[int, Tensor]
    weights: dict[int, Tensor]

    def squared_reach(self, reach: Reach) -> Tensor:
        """(B,) d² beyond which α d² is ``reach(l)`` or more for every shell, bohr²."""
        each = [reach(l) / alpha.detach().amin(1) for l, alpha in self.exponents.items()]
        return torch.stack(each).amax(0)

    def __getitem__(self, index: Tensor) -> Sites:
        exponents = {l: alpha[index] for l, alpha in self.exponents.items()}
        return Sites(self.centers[index], exponents, {l: weights[index] for l, weights in self.weights.items()})

    def split(self, squared: Tensor, reach: Reach) -> tuple[Sites, Sites]:
        """Shells with α d² < ``reach(l)`` at some site, and the others; ``squared`` (): the smallest d²."""
        kept = {l: int((~(squared >= reach(l) / alpha.detach().amin(0))).sum()) for l, alpha in self.exponents.items()}
        inside, outside = ({l: part(n) for l, n in kept.items()} for part in (slice, lambda n: slice(n, None)))
        return self._shells(inside), self._shells(outside)

    def _shells(self, chosen: dict[int, slice]) -> Sites:
        exponents = {l: self.exponents[l][:, part] for l, part in chosen.items()}
        exponents = {l: alpha for l, alpha in exponents.items() if alpha.shape[1]}
        return Sites(self.centers, exponents, {l: self.weights[l][:, chosen[l]] for l in exponents})


def sites(shells: Shells, coefficients: Tensor) -> list[Sites]:
    """Shells by centre; centres with as many shells of every l are put together."""
    alike: dict[bytes, list[np.ndarray]] = defaultdict(list)
    l = shells.l.cpu().numpy()
    for own in _shells_of_sites(shells):
        alike[l[own].tobytes()].append(own)
    return [_together(shells, coefficients, torch.as_tensor(np.array(rows))) for rows in alike.values()]


def _shells_of_sites(shells: Shells) -> list[np.ndarray]:
    """For every site its shells, l and then exponents ascending."""
    number = len(shells.l)
    if shells.centers.requires_grad:  # every shell has a derivative of its own, also where centres coincide
        owner = np.arange(number)
    else:
        owner = np.unique(shells.centers.cpu().numpy(), axis=0, return_inverse=True)[1].ravel()
    order = np.lexsort((shells.exponents.detach().cpu().numpy(), shells.l.cpu().numpy(), owner))
    return np.split(order, np.nonzero(np.diff(owner[order]))[0] + 1) if number else []


def _together(shells: Shells, coefficients: Tensor, rows: Tensor) -> Sites:
    """``rows`` (B, n): the shells of B sites that look alike."""
    exponents, weights, ls = {}, {}, shells.l.cpu()[rows[0]]
    for l in ls.unique().tolist():
        own = rows[:, torch.nonzero(ls == l).flatten()]
        functions = shells.offsets[own][..., None] + torch.arange(2 * l + 1, device=own.device)
        exponents[l] = shells.exponents[own]
        weights[l] = norm(l, exponents[l])[..., None] * coefficients[functions]
    return Sites(shells.centers[rows[:, 0]], exponents, weights)


def values(sites: Sites, points: Tensor, radial: Radial) -> Tensor:
    """(P,) the sum over all sites."""
    return sum(_degrees(sites, points, radial).values(), points.new_zeros(len(points)))


def values_by_degree(sites: Sites, points: Tensor, radial: Radial, degrees: int) -> Tensor:
    """(P, degrees) the sum over all sites, the terms of every l by themselves."""
    found, none = _degrees(sites, points, radial), points.new_zeros(len(points))
    return torch.stack([found.get(l, none) for l in range(degrees)], dim=-1)


def gradients(sites: Sites, points: Tensor, radial: Radial) -> Tensor:
    """(P, 3) the gradient of the sum over all sites."""
    d, x, harmonics = _geometry(sites, points)
    result = points.new_zeros(points.shape)
    for l, weights in sites.weights.items():
        alpha = sites.exponents[l][:, None]
        slope = ((radial(alpha, x, l, 1) @ weights) * harmonics[l]).sum(-1, keepdim=True)
        result = result + (2 * d * slope).sum(0)
        if l:
            result = result + _lowered(radial(alpha, x, l, 0), weights, harmonics, l).sum(0)
    return result


def hessians(sites: Sites, points: Tensor, radial: Radial) -> Tensor:
    """(P, 3, 3) the second derivatives of the sum over all sites."""
    d, x, harmonics = _geometry(sites, points)
    result, unit = points.new_zeros(len(points), 3, 3), torch.eye(3, dtype=points.dtype, device=points.device)
    for l, weights in sites.weights.items():
        first, second = (radial(sites.exponents[l][:, None], x, l, k) for k in (1, 2))
        slope, bend = (((f @ weights) * harmonics[l]).sum(-1)[..., None, None] for f in (first, second))
        result = result + (4 * d[..., :, None] * d[..., None, :] * bend + 2 * unit * slope).sum(0)
        if l:
            mixed = (2 * d[..., :, None] * _lowered(first, weights, harmonics, l)[..., None, :]).sum(0)
            result = result + mixed + mixed.transpose(-1, -2)
        if l > 1:
            value = radial(sites.exponents[l][:, None], x, l, 0)
            result = result + torch.stack([_lowered(value, w, harmonics, l - 1).sum(0) for w in _lower(weights, l)], 1)
    return result


def _degrees(sites: Sites, points: Tensor, radial: Radial) -> dict[int, Tensor]:
    """For every l, (P,) its sum."""
    _, x, harmonics = _geometry(sites, points)
    return {
        l: ((radial(sites.exponents[l][:, None], x, l, 0) @ weights) * harmonics[l]).sum((0, -1))
        for l, weights in sites.weights.items()
    }


def _geometry(sites: Sites, points: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Differences d (B, P, 3), d² (B, P, 1) and the solid harmonics S_l (B, P, 2l + 1) of every l."""
    from e3nn import o3

    d = points - sites.centers[:, None]
    l_max = max(sites.weights)
    ls = list(range(l_max + 1))
    harmonics = o3.spherical_harmonics(ls, d[..., E3NN_AXES], normalize=False, normalization="integral")
    return d, d.square().sum(-1, keepdim=True), harmonics.split([2 * l + 1 for l in ls], dim=-1)


def _lowered(f: Tensor, weights: Tensor, harmonics: tuple[Tensor, ...], l: int) -> Tensor:
    """(B, P, 3) Σ f w ∂S_l, with ``f`` (B, P, n) and ``weights`` (B, n, 2l + 1)."""
    return torch.stack([((f @ w) * harmonics[l - 1]).sum(-1) for w in _lower(weights, l)], dim=-1)


def _lower(weights: Tensor, l: int) -> Iterator[Tensor]:
    """For x, y, z: the weights (…, 2l − 1) of the S_(l−1) in the derivative of Σ_m w_m S_lm."""
    return (weights @ matrix for matrix in derivative_matrices(l).to(weights))


@cache
def derivative_matrices(l: int) -> Tensor:
    """(3, 2l + 1, 2l − 1) matrices of ∂_i S_lm = Σ_m' D_imm' S_(l−1)m', float64; solved for, not looked up."""
    from e3nn import o3

    with torch.inference_mode(False), torch.enable_grad():
        points = torch.randn(8 * l, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        points.requires_grad_()
        upper = o3.spherical_harmonics(l, points[:, E3NN_AXES], normalize=False, normalization="integral")
        lower = o3.spherical_harmonics(l - 1, points[:, E3NN_AXES], normalize=False, normalization="integral").detach()
        slopes = torch.stack([torch.autograd.grad(s.sum(), points, retain_graph=True)[0] for s in upper.T], dim=-1)
        return torch.stack([torch.linalg.lstsq(lower, slopes[:, i]).solution.T for i in range(3)])
