import os
import subprocess
import sys

import pytest
import torch
from torch.autograd import gradcheck

from densitylab.model.kernels import Convolution, Paths


def inputs(paths, channels=3, atoms=6, edges=20, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    target = torch.randint(atoms - 1, (edges,), generator=generator).sort().values  # the last atom has no neighbours
    source = torch.randint(atoms, (edges,), generator=generator)
    features = random(atoms, (paths.l_in + 1) ** 2, channels)
    harmonics = random(edges, (paths.l_edge + 1) ** 2)
    return features, harmonics, random(edges, len(paths.triples), channels), torch.stack([source, target])


@pytest.mark.parametrize("degrees", [(0, 0, 0), (0, 4, 4), (1, 2, 1), (2, 3, 2), (2, 4, 4), (3, 3, 3)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_kernel_equals_e3nn(degrees, dtype, tolerance):
    """Values and all three gradients; tolerances are rounding of sums of ~1e2 terms."""
    paths = Paths(*degrees)
    *variables, edge_index = inputs(paths, dtype=dtype)
    results = []
    for kernel in ("auto", "reference"):
        out = Convolution(paths, 3, kernel)(*variables, edge_index)
        probe = torch.sin(torch.arange(out.numel(), dtype=dtype)).view_as(out)
        results.append([out, *torch.autograd.grad((out * probe).sum(), variables)])
    for fast, slow in zip(*results, strict=True):
        assert (fast - slow).abs().max() <= tolerance * slow.abs().max()


def test_gradients_are_those_of_finite_differences():
    paths = Paths(1, 2, 2)
    module = Convolution(paths, 2)
    *variables, edge_index = inputs(paths, channels=2, atoms=3, edges=4)
    assert gradcheck(lambda *v: module(*v, edge_index), variables)


def test_reference_can_be_differentiated_twice():
    """Forces in a loss need it; the compiled kernel says that it cannot rather than giving a wrong number."""
    paths = Paths(1, 1, 1)
    *variables, edge_index = inputs(paths)
    for kernel, possible in (("reference", True), ("auto", False)):
        out = Convolution(paths, 3, kernel)(*variables, edge_index)
        (first,) = torch.autograd.grad(out.square().sum(), variables[1], create_graph=True)
        if possible:
            assert torch.autograd.grad(first.sum(), variables[2])[0].abs().max() > 0
        else:
            with pytest.raises(RuntimeError, match="autograd"):
                torch.autograd.grad(first.sum(), variables[2])


def test_operators_are_registered_properly():
    """torch's own check of schema, fake tensors and autograd registration (what torch.compile relies on)."""
    paths = Paths(1, 1, 1)
    *variables, edge_index = inputs(paths)
    torch.library.opcheck(torch.ops.densitylab.convolution.default, (*variables, edge_index, [1, 1, 1]))


def test_no_edges_give_zeros():
    paths = Paths(1, 1, 1)
    out = Convolution(paths, 2)(
        torch.randn(3, 4, 2),
        torch.zeros(0, 4),
        torch.zeros(0, len(paths.triples), 2),
        torch.zeros(2, 0, dtype=torch.long),
    )
    assert out.shape == (3, 4, 2)
    assert not out.any()


def test_variance_is_kept():
    """ "Component" normalisation: unit variance in, (number of edges) variance out, for every l."""
    paths = Paths(2, 3, 2)
    generator = torch.Generator().manual_seed(0)
    atoms, degree, channels = 200, 4, 16
    x = torch.randn(atoms, 9, channels, generator=generator)
    weights = torch.randn(atoms * degree, len(paths.triples), channels, generator=generator)
    harmonics = torch.randn(atoms * degree, 16, generator=generator)
    source = torch.randint(atoms, (atoms * degree,), generator=generator)
    edge_index = torch.stack([source, torch.arange(atoms).repeat_interleave(degree)])
    out = Convolution(paths, channels)(x, harmonics, weights, edge_index) / degree**0.5
    for l in range(3):
        # 200 · 16 · (2l + 1) heavy-tailed samples: a few per cent
        assert out[:, l * l : (l + 1) ** 2].square().mean() == pytest.approx(1.0, rel=0.2)


ONCE = """
import hashlib, numpy as np
from densitylab.model.kernels import cpu
from densitylab.model.kernels.paths import Paths
rng, paths = np.random.default_rng(0), Paths(1, 2, 1)
source, target = rng.integers(0, 9, 80), np.sort(rng.integers(0, 9, 80))
shapes = (9, 4, 19), (80, 9), (80, len(paths.triples), 19), (9, 4, 19)
x, harmonics, weights, grad = (rng.normal(size=shape) for shape in shapes)
table, gradients = cpu.Table.of(paths), [np.zeros_like(each) for each in (x, harmonics, weights)]
cpu.backward(table, x, harmonics, weights, source, target, grad, *gradients)
cpu.forward(table, x, harmonics, weights, source, target, grad)
print([hashlib.sha256(each.tobytes()).hexdigest() for each in (grad, *gradients)])
"""


def test_a_kernel_from_the_cache_rounds_as_one_from_the_compiler(tmp_path):
    """Else a resumed run is not, bit by bit, the run that was not interrupted."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", ONCE]
    first, second = (subprocess.run(command, env=environment, capture_output=True, check=True).stdout for _ in range(2))
    assert list(tmp_path.rglob("*.nbc"))
    assert first == second
