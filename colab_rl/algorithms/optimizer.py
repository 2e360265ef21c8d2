"""Adam with gradient clipping, over all parameters of its networks at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam


class ClippedAdam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980) with epsilon 1e-5; each network's gradient norm is clipped first.

    The networks' parameters and gradients become views of one flat tensor each, so that
    the step is one call and clipping one a network, not one a layer: at a minibatch of 64
    rows the calls are what a gradient step costs.
    """

    def __init__(self, networks: dict[str, nn.Module], learning_rate: float, max_grad_norm: float):
        parameters = [parameter for network in networks.values() for parameter in network.parameters()]
        self.flat = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
        self.gradient = torch.zeros_like(self.flat)
        self.flat.grad = self.gradient
        start = 0
        for parameter in parameters:
            end = start + parameter.numel()
            parameter.data = self.flat.data[start:end].view_as(parameter)
            parameter.grad = self.gradient[start:end].view_as(parameter)
            start = end
        sizes = [sum(parameter.numel() for parameter in network.parameters()) for network in networks.values()]
        self.names = list(networks)
        self.sizes = sizes
        self.gradients = self.gradient.split(sizes)  # views, one a network
        self.max_grad_norm = max_grad_norm
        self.exp_avg, self.exp_avg_sq = torch.zeros_like(self.gradient), torch.zeros_like(self.gradient)
        self.steps = torch.zeros((), device=self.flat.device)
        self.begin(learning_rate)

    def begin(self, learning_rate: float) -> None:
        """Sets the step size of an update and starts its metrics afresh."""
        self.learning_rate = learning_rate
        self._norms: list[Tensor] = []
        self._before = self.flat.detach().clone()

    @torch.no_grad()
    def step(self) -> None:
        """Clips the gradients and takes a step."""
        for gradient in self.gradients:
            norm = torch.linalg.vector_norm(gradient)
            gradient.mul_((self.max_grad_norm / (norm + 1e-6)).clamp_(max=1.0))
            self._norms.append(norm)
        # The function behind torch.optim.Adam: the class takes as long again to get there.
        adam([self.flat], [self.gradient], [self.exp_avg], [self.exp_avg_sq], [], [self.steps],
             fused=True, amsgrad=False, beta1=0.9, beta2=0.999, lr=self.learning_rate, weight_decay=0.0,
             eps=1e-5, maximize=False)

    def metrics(self) -> dict[str, float]:
        """By network: means over the update's steps of the gradient norm, and the other norms after the last step."""
        norms = torch.stack(self._norms).view(-1, len(self.names))
        parameters = self.flat.detach()
        vectors = (parameters, parameters - self._before, self.exp_avg, self.exp_avg_sq)
        table = torch.stack([
            norms.mean(0),
            norms.clamp(max=self.max_grad_norm).mean(0),
            *(torch.stack([torch.linalg.vector_norm(part) for part in vector.split(self.sizes)])
              for vector in vectors)])
        kinds = ("gradient_norm", "clipped_gradient_norm", "parameter_norm", "update_norm",
                 "adam_first_moment_norm", "adam_second_moment_norm")
        return {f"optimizer/{name}/{kind}": value
                for kind, row in zip(kinds, table.tolist(), strict=True)
                for name, value in zip(self.names, row, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Steps taken, () float32, and Adam's moments, (parameters,) float32."""
        return {"steps": self.steps, "exp_avg": self.exp_avg, "exp_avg_sq": self.exp_avg_sq}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        self.steps.copy_(state["steps"])
        self.exp_avg.copy_(state["exp_avg"])
        self.exp_avg_sq.copy_(state["exp_avg_sq"])
