"""Adam with gradient clipping, over all parameters of a network at once."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam


def scheduled(start: float, schedule: str, progress: float) -> float:
    """`start` throughout, or falling linearly to 0 as `progress` goes from 0 to 1."""
    return start * max(0.0, 1 - progress) if schedule == "linear" else start


def flattened(network: nn.Module) -> Tensor:
    """A network's parameters in one flat tensor, of which they become views."""
    parameters = list(network.parameters())
    flat = torch.cat([parameter.detach().flatten() for parameter in parameters])
    for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        parameter.data = part.view_as(parameter)
    return flat


class ClippedAdam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980) with epsilon 1e-5; the gradient's norm is clipped first.

    The network's parameters and gradients become views of one flat tensor each, so that
    clipping and the step are one call each, not one a layer: at a minibatch of 64
    rows the calls are what a gradient step costs.
    """

    def __init__(self, network: nn.Module, learning_rate: float, max_grad_norm: float):
        self.flat = nn.Parameter(flattened(network))
        self.gradient = torch.zeros_like(self.flat)
        parameters = list(network.parameters())
        parts = self.gradient.split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        self.max_grad_norm = max_grad_norm
        self.exp_avg, self.exp_avg_sq = torch.zeros_like(self.gradient), torch.zeros_like(self.gradient)
        self.steps = torch.zeros((), device=self.flat.device)
        # On a GPU a tensor that stays: a graph (cuda_graph.py) reads it anew each time.
        self._rate: float | Tensor = torch.zeros((), device=self.flat.device) if self.flat.is_cuda else 0.0
        self.begin(learning_rate)

    def begin(self, learning_rate: float) -> None:
        """Sets the step size of an update and starts its metrics afresh."""
        self.learning_rate = learning_rate
        if isinstance(self._rate, Tensor):
            self._rate.fill_(learning_rate)
        else:
            self._rate = learning_rate
        self.norms: list[Tensor] = []  # () of the gradient, by step
        self._before = self.flat.detach().clone()

    @torch.no_grad()
    def step(self) -> None:
        """Clips the gradient and takes a step."""
        norm = torch.linalg.vector_norm(self.gradient)
        if self.max_grad_norm < math.inf:
            self.gradient.mul_((self.max_grad_norm / (norm + 1e-6)).clamp_(max=1.0))
        self.norms.append(norm)
        # The function behind torch.optim.Adam: the class takes as long again to get there.
        adam([self.flat], [self.gradient], [self.exp_avg], [self.exp_avg_sq], [], [self.steps],
             fused=True, amsgrad=False, beta1=0.9, beta2=0.999, lr=self._rate, weight_decay=0.0,
             eps=1e-5, maximize=False)
        self.gradient.zero_()  # pullbacks add to it

    def metrics(self) -> dict[str, float]:
        """Means over the update's steps of the gradient's norm, and the other norms after the last step."""
        norms = torch.stack(self.norms or [torch.zeros_like(self.steps)])
        parameters = self.flat.detach()
        vectors = (parameters, parameters - self._before, self.exp_avg, self.exp_avg_sq)
        figures = torch.stack([norms.mean(), norms.clamp(max=self.max_grad_norm).mean(),
                               *(torch.linalg.vector_norm(vector) for vector in vectors)])
        names = ("gradient_norm", "clipped_gradient_norm", "parameter_norm", "update_norm",
                 "adam_first_moment_norm", "adam_second_moment_norm")
        return dict(zip(names, figures.tolist(), strict=True))

    @property
    def tensors(self) -> list[Tensor]:
        """All that a step changes."""
        return [self.flat, self.gradient, self.exp_avg, self.exp_avg_sq, self.steps]

    def state_dict(self) -> dict[str, Any]:
        """Steps taken, () float32, and Adam's moments, (parameters,) float32."""
        return {"steps": self.steps, "exp_avg": self.exp_avg, "exp_avg_sq": self.exp_avg_sq}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        self.steps.copy_(state["steps"])
        self.exp_avg.copy_(state["exp_avg"])
        self.exp_avg_sq.copy_(state["exp_avg_sq"])
