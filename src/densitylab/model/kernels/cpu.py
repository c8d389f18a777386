"""The convolution on the CPU (numba): gathers, contracts and sums without ever storing a message.

Edges are sorted by target, so one thread owns an atom's sum; the backward pass walks the same edges sorted by source.
For every edge the Clebsch-Gordan table is first contracted with the edge's harmonics to a small table k[p, i, o];
what is left is a sum over table entries of channel vectors, which the compiler vectorises.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numba
import numpy as np

from densitylab.model.kernels.paths import Paths, block


@dataclass(frozen=True)
class Table:
    """Sparse Clebsch-Gordan entries, flattened for compiled loops.

    ``pairs`` (n, 3): path, input component, output component, sorted by path and input; ``terms`` (t, 2): pair, edge
    component; ``values`` (t,): coefficients.
    """

    pairs: np.ndarray
    terms: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, paths: Paths) -> Table:
        pairs: list[tuple[int, int, int]] = []
        terms: list[tuple[int, int]] = []
        values: list[float] = []
        for number, (l1, l2, l3) in enumerate(paths.triples):
            cg = paths.coefficients((l1, l2, l3)).numpy()
            for i, o in zip(*np.nonzero(np.abs(cg).max(axis=1) > 1e-12), strict=True):
                pairs.append((number, block(l1).start + int(i), block(l3).start + int(o)))
                for j in np.flatnonzero(np.abs(cg[i, :, o]) > 1e-12):
                    terms.append((len(pairs) - 1, block(l2).start + int(j)))
                    values.append(float(cg[i, j, o]))
        return cls(np.array(pairs), np.array(terms), np.array(values))


def forward(table: Table, x: Any, harmonics: Any, weights: Any, source: Any, target: Any, out: Any) -> None:
    """Add the convolution to ``out`` (A, O, C); see :class:`~densitylab.model.kernels.convolution.Convolution`."""
    starts = np.searchsorted(target, np.arange(len(out) + 1))
    values = table.values.astype(x.dtype)
    _forward(table.pairs, table.terms, values, x, harmonics, weights, source, starts, out)


def backward(
    table: Table, x: Any, harmonics: Any, weights: Any, source: Any, target: Any, grad: Any, grad_x: Any,
    grad_harmonics: Any, grad_weights: Any,
) -> None:  # fmt: skip
    """Add the gradients for ``grad`` (A, O, C) of the output to the three last arrays (same shapes as the inputs)."""
    order = np.argsort(source, kind="stable")
    starts = np.searchsorted(source[order], np.arange(len(x) + 1))
    values = table.values.astype(x.dtype)
    _backward(
        table.pairs, table.terms, values, x, harmonics, weights, target, order, starts, grad, grad_x,
        grad_harmonics, grad_weights,
    )  # fmt: skip


# No "reassoc": a kernel fresh from the compiler and the same from its cache then round differently, and a run that is
# resumed is not the run that was not interrupted. Sums that are to be vectorised have their order written out.
_compile = partial(numba.njit, fastmath={"contract"}, cache=True, nogil=True)


@_compile(parallel=True)
def _forward(pairs, terms, values, x, harmonics, weights, source, starts, out):  # type: ignore[no-untyped-def]
    channels = x.shape[2]
    for atom in numba.prange(out.shape[0]):
        k = np.zeros(len(pairs), x.dtype)
        product = np.zeros(channels, x.dtype)
        for edge in range(starts[atom], starts[atom + 1]):
            k[:] = 0
            for t in range(len(terms)):
                k[terms[t, 0]] += values[t] * harmonics[edge, terms[t, 1]]
            j = source[edge]
            path, component = -1, -1
            for n in range(len(pairs)):
                if pairs[n, 0] != path or pairs[n, 1] != component:
                    path, component = pairs[n, 0], pairs[n, 1]
                    for c in range(channels):
                        product[c] = weights[edge, path, c] * x[j, component, c]
                o = pairs[n, 2]
                for c in range(channels):
                    out[atom, o, c] += k[n] * product[c]


@_compile()
def _sum(values):  # type: ignore[no-untyped-def]
    """Σ values in eight lanes."""
    whole = len(values) - len(values) % 8
    a = b = c = d = e = f = g = h = values[0] * 0
    for i in range(0, whole, 8):
        a, b, c, d = a + values[i], b + values[i + 1], c + values[i + 2], d + values[i + 3]
        e, f, g, h = e + values[i + 4], f + values[i + 5], g + values[i + 6], h + values[i + 7]
    total = ((a + e) + (c + g)) + ((b + f) + (d + h))
    for i in range(whole, len(values)):
        total += values[i]
    return total


@_compile(parallel=True)
def _backward(  # type: ignore[no-untyped-def]
    pairs,
    terms,
    values,
    x,
    harmonics,
    weights,
    target,
    order,
    starts,
    grad,
    grad_x,
    grad_harmonics,
    grad_weights,
):
    channels = x.shape[2]
    for atom in numba.prange(x.shape[0]):
        k = np.zeros(len(pairs), x.dtype)
        grad_k = np.zeros(len(pairs), x.dtype)
        products = np.zeros(channels, x.dtype)
        for position in range(starts[atom], starts[atom + 1]):
            edge = order[position]
            k[:] = 0
            for t in range(len(terms)):
                k[terms[t, 0]] += values[t] * harmonics[edge, terms[t, 1]]
            i = target[edge]
            for n in range(len(pairs)):
                path, component, o = pairs[n, 0], pairs[n, 1], pairs[n, 2]
                for c in range(channels):
                    wg = weights[edge, path, c] * grad[i, o, c]
                    xg = x[atom, component, c] * grad[i, o, c]
                    grad_x[atom, component, c] += k[n] * wg
                    grad_weights[edge, path, c] += k[n] * xg
                    products[c] = weights[edge, path, c] * xg
                grad_k[n] = _sum(products)
            for t in range(len(terms)):
                grad_harmonics[edge, terms[t, 1]] += values[t] * grad_k[terms[t, 0]]
