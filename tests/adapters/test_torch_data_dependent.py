"""fastinit.torch.lsuv_ and the other data-dependent methods on real modules."""

import numpy as np
import pytest
import torch
from torch import nn  # noqa: E402

import fastinit as fi  # noqa: E402
import fastinit.torch as fit  # noqa: E402


class Branches(nn.Module):
    """A graph that is not a sequence: a residual branch, dropout, batch norm, and a transposed
    convolution with groups.
    """

    def __init__(self):
        super().__init__()
        self.never = nn.Linear(3, 3)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.branch = nn.Conv2d(8, 8, 1, bias=False)
        self.up = nn.ConvTranspose2d(8, 6, 2, groups=2)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        y = self.norm(self.first(x)).relu()
        y = y + nn.functional.dropout(self.branch(y), training=self.training)
        return self.head(self.up(y).mean((2, 3)))


def batch(size=16):
    return torch.from_numpy(fi.normal((size, 3, 6, 6), seed=1))


def outputs(model, x):
    """The output of every layer at once, in the order of calls."""
    found = {}
    hooks = [
        module.register_forward_hook(lambda m, i, o, name=name: found.setdefault(name, o.detach()))
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return found


def test_lsuv_gives_every_layer_unit_variance_in_the_order_of_calls():
    model = Branches().eval()
    report = fit.lsuv_(model, batch(), tolerance=1e-4, seed=3)
    assert [line.name for line in report.layers] == ["first", "branch", "up", "head"]
    for name, output in outputs(model, batch()).items():
        assert output.std(correction=0).item() == pytest.approx(1.0, abs=2e-4), name
    for line in report.layers:
        assert line.std == pytest.approx(1.0, abs=2e-4) and line.std_before != line.std
    orthonormal = fi.orthogonal((8, 27), seed=3, name="first.weight")
    ratio = model.first.weight.detach().numpy().reshape(8, 27) / orthonormal
    assert np.allclose(ratio, ratio[0, 0], rtol=1e-5)


def test_lsuv_equals_the_one_on_plain_arrays():
    model = nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 4))
    weights = [np.zeros((9, 7), np.float32), np.zeros((4, 9), np.float32)]
    biases = [np.ones(9, np.float32), np.ones(4, np.float32)]
    x = fi.normal((40, 7), seed=2)
    network = [
        fi.Layer(weights[0], biases[0], activation=lambda y: np.maximum(y, 0), name="0.weight"),
        fi.Layer(weights[1], biases[1], name="2.weight"),
    ]
    fi.lsuv(network, x, tolerance=1e-3, seed=5)
    fit.lsuv_(model, torch.from_numpy(x), tolerance=1e-3, seed=5)
    for module, weight in zip((model[0], model[2]), weights, strict=True):
        assert (
            np.allclose(module.weight.detach().numpy(), weight, rtol=1e-4, atol=1e-6)
            and not module.bias.any()
        )


def test_only_the_given_layers_change():
    model = Branches()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit.lsuv_(model, batch(), layers=[model.branch])
    changed = [
        name for name, value in model.state_dict().items() if not torch.equal(before[name], value)
    ]
    assert changed == ["branch.weight"]


def test_buffers_hooks_and_random_state_come_back():
    model = Branches().train()
    state, buffers = torch.get_rng_state(), [buffer.clone() for buffer in model.buffers()]
    fit.lsuv_(model, batch())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one, two) for one, two in zip(buffers, model.buffers(), strict=True))
    assert not any(module._forward_hooks for module in model.modules())
    assert all(
        parameter.grad is None and parameter.requires_grad for parameter in model.parameters()
    )


def test_within_layers_every_unit_has_the_mean_and_std():
    model = Branches().eval()
    fit.normalize_within_layers_(model, batch(64), mean=0.5, std=2.0)
    found = outputs(model, batch(64))
    for name, axis in (("first", 1), ("up", 1), ("head", 1)):
        values = found[name].movedim(axis, 0).flatten(1)
        assert torch.allclose(values.std(1, correction=0), torch.tensor(2.0), atol=1e-3), name
        assert torch.allclose(values.mean(1), torch.tensor(0.5), atol=1e-3), name


def test_moments_are_matched_layer_by_layer():
    model = Branches().eval()
    report = fit.match_moments_(model, batch(), mean=1.0, std=0.5)
    assert all(line.std == pytest.approx(0.5, abs=1e-3) for line in report.layers)
    assert report.layers[0].mean == pytest.approx(1.0, abs=1e-3)


def test_weight_normalization_starts_all_units_with_equal_moments():
    model = nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 4))
    x = torch.from_numpy(fi.normal((300, 7), seed=2))
    fit.weight_norm_init_(model, x, seed=1)
    first = model[0](x).detach()
    assert torch.allclose(first.std(0, correction=0), torch.ones(9), atol=1e-3)
    assert torch.allclose(first.mean(0), torch.zeros(9), atol=1e-4)


def test_between_layers_reports_the_moments_before_and_after():
    model = nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 3))
    x = torch.from_numpy(fi.normal((32, 5), seed=1))
    before = [y.std(correction=0).item() for y in outputs(model, x).values()]
    report = fit.normalize_between_layers_(model, x)
    after = [y.std(correction=0).item() for y in outputs(model, x).values()]
    assert [line.std_before for line in report.layers] == pytest.approx(before)
    assert [line.std for line in report.layers] == pytest.approx(after)
    assert after[0] != pytest.approx(before[0])


def test_between_layers_all_change_at_one_rate_and_the_function_stays_the_same():
    model = nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 4))
    with torch.no_grad():
        model[0].weight *= 5
    x = torch.from_numpy(fi.normal((50, 7), seed=2))
    before = model(x).detach()
    report = fit.normalize_between_layers_(model, x, lambda y: y.square().mean())
    rates = [line.rate for line in report.layers]
    assert (
        max(rates) / min(rates) < 1.03
        and max(line.rate_before for line in report.layers) / min(rates) > 1.5
    )
    assert torch.allclose(model(x), before, rtol=1e-3, atol=1e-4)
    fit.normalize_between_layers_(model, x)  # the paper's loss


@pytest.mark.parametrize("given", [lambda x: {"x": x}, lambda x: (x,), lambda x: [x]])
def test_batches_may_be_arguments(given):
    fit.lsuv_(Branches(), given(batch()))


def test_half_precision_models_are_scaled_too():
    model = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 8)).bfloat16()
    report = fit.lsuv_(
        model, torch.from_numpy(fi.normal((64, 32), seed=2)).bfloat16(), tolerance=0.02
    )
    assert (
        all(abs(line.std - 1) < 0.05 for line in report.layers)
        and model[0].weight.dtype == torch.bfloat16
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: (nn.Sequential(nn.Linear(3, 3)), torch.zeros(4, 3)), "zero variance"),
        (lambda: (nn.Sequential(nn.Linear(3, 3)), torch.full((4, 3), float("nan"))), "not finite"),
        (lambda: (nn.Sequential(nn.ReLU()), torch.ones(4, 3)), "nothing can be scaled"),
        (lambda: (nn.Sequential(nn.Linear(3, 3, device="meta")), torch.ones(4, 3)), "meta device"),
    ],
)
def test_bad_input_changes_nothing(make, text):
    model, x = make()
    before = [parameter.clone() for parameter in model.parameters() if not parameter.is_meta]
    with pytest.raises(ValueError, match=text):
        fit.lsuv_(model, x)
    assert all(torch.equal(one, two) for one, two in zip(before, model.parameters(), strict=False))


def test_tied_layers_and_foreign_modules_are_refused():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    with pytest.raises(ValueError, match="share a parameter"):
        fit.lsuv_(model, torch.rand(4, 3))
    with pytest.raises(ValueError, match="not a linear or convolutional module of this model"):
        fit.lsuv_(model, torch.rand(4, 3), layers=[nn.Linear(3, 3)])
    with pytest.raises(ValueError, match="std is 0"):
        fit.lsuv_(model, torch.rand(4, 3), std=0.0)
