"""Adam with gradient clipping, over all parameters of one network at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class ClippedAdam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980) with epsilon 1e-5, after clipping the gradient's norm.

    The network's parameters and gradients become views of one flat tensor each, so that
    clipping, the step and every norm are one call, not one a layer.
    """

    def __init__(self, network: nn.Module, learning_rate: float, max_grad_norm: float):
        parameters = list(network.parameters())
        self.flat = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
        self.flat.grad = torch.zeros_like(self.flat)
        start = 0
        for parameter in parameters:
            end = start + parameter.numel()
            parameter.data = self.flat.data[start:end].view_as(parameter)
            parameter.grad = self.flat.grad[start:end].view_as(parameter)
            start = end
        self.max_grad_norm = max_grad_norm
        self.adam = torch.optim.Adam([self.flat], lr=learning_rate, eps=1e-5, fused=True)
        self.begin(learning_rate)

    def begin(self, learning_rate: float) -> None:
        """Sets the step size of an update and starts its metrics afresh."""
        self.adam.param_groups[0]["lr"] = learning_rate
        self._norms: list[torch.Tensor] = []
        self._before = self.flat.detach().clone()

    def step(self) -> None:
        """Clips the accumulated gradient, takes a step, and clears the gradient."""
        gradient = self.flat.grad
        assert gradient is not None
        norm = torch.linalg.vector_norm(gradient)
        gradient.mul_((self.max_grad_norm / (norm + 1e-6)).clamp_(max=1.0))
        self.adam.step()
        gradient.zero_()
        self._norms.append(norm)

    def metrics(self) -> dict[str, float]:
        """Means over the update's steps of the gradient norm; the other norms after its last step."""
        norms = torch.stack(self._norms)
        state = self.adam.state[self.flat]
        vectors = torch.stack([
            norms.mean(),
            norms.clamp(max=self.max_grad_norm).mean(),
            torch.linalg.vector_norm(self.flat.detach()),
            torch.linalg.vector_norm(self.flat.detach() - self._before),
            torch.linalg.vector_norm(state["exp_avg"]),
            torch.linalg.vector_norm(state["exp_avg_sq"]),
        ])
        names = ("gradient_norm", "clipped_gradient_norm", "parameter_norm", "update_norm",
                 "adam_first_moment_norm", "adam_second_moment_norm")
        return dict(zip(names, vectors.tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Steps taken and Adam's moments, (parameters,) float32; empty before the first step."""
        return dict(self.adam.state[self.flat]) if self.adam.state else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        if state:
            self.adam.state[self.flat] = {key: value.clone().to(self.flat.device) for key, value in state.items()}
