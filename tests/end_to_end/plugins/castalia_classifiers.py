"""A classifier and its pre-training that learn in a second: the mean over an event's objects of a small network."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from castalia.data.strict import StrictModel
from castalia.errors import ConfigError
from castalia.estimators.base import Classifier, Estimator, Losses, Objective


class Config(StrictModel):
    """Width of the network, the number of relations, of which it only checks that they come, and pairs without any."""

    width: int = 16
    relations: int = 0
    left_out: tuple[tuple[int, int], ...] = ()


class Backbone(nn.Module):
    """Vectors of objects, shape ``(events, objects, width)``."""

    def __init__(self, layout, width):
        super().__init__()
        self.types = round(layout.condition_objects["objects"][4].bounds[1] + 0.5)
        self.layers = nn.Sequential(nn.Linear(5 + self.types, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, objects):
        pt, eta, phi, mass, kind = objects.values.unbind(dim=2)
        scaled = torch.stack([torch.log1p(pt) / 5, eta, torch.cos(phi), torch.sin(phi), torch.log1p(mass)], dim=2)
        return self.layers(torch.cat([scaled, one_hot(kind.long(), self.types)], dim=2))


class Toy(Estimator):
    """What both have in common."""

    Config = Config
    takes_lists = True

    def __init__(self, config, layout, outputs):
        super().__init__()
        self.config, self.layout = config, layout
        self.backbone = Backbone(layout, config.width)
        self.head = nn.Linear(config.width, outputs)
        self.register_buffer("temperature", torch.ones(()))

    def prepare(self, stream):
        for _ in stream:
            continue

    def objectives(self):
        return (Objective("loss", tuple(self.parameters()), self.loss),)


class ToyClassifier(Toy, Classifier):
    """Classes from the mean over all objects."""

    def __init__(self, config, layout):
        super().__init__(config, layout, round(layout.target[0].bounds[1] + 0.5))

    def logits(self, events):
        objects = events.objects["objects"]
        mask = objects.mask[:, :, None]
        mean = (self.backbone(objects) * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        return self.head(mean) / self.temperature

    def loss(self, batch, rng):
        if self.config.relations:
            ancestry = batch.target.objects["ancestry"]
            assert ancestry.values.shape[2] == self.config.relations
            assert bool((ancestry.mask == batch.condition.objects["objects"].mask).all())
        return Losses(cross_entropy(self.logits(batch.condition), batch.target.flat[:, 0].long(), reduction="none"))

    @torch.no_grad()
    def calibrate(self, batch):
        self.temperature.fill_(1.0)
        logits = self.logits(batch.condition)
        tried = torch.linspace(0.5, 2.0, 31)
        losses = [(cross_entropy(logits / t, batch.target.flat[:, 0].long(), reduction="none") * batch.weight).sum()
                  for t in tried]  # fmt: skip
        self.temperature.copy_(tried[int(torch.stack(losses).argmin())])
        return float(self.temperature)

    def adopt(self, pretrained, types):
        if not isinstance(pretrained, ToyPretraining) or pretrained.config.width != self.config.width:
            raise ConfigError(f"The backbone is {pretrained.config.width} wide, not {self.config.width}; widen it.")
        state, first = pretrained.backbone.state_dict(), "layers.0.weight"
        weight = self.backbone.state_dict()[first].clone()
        weight[:, [*range(5), *(5 + number for number in types)]] = state[first]
        self.backbone.load_state_dict({**state, first: weight})


class ToyPretraining(Toy):
    """The pseudorapidity of each object from its vector, which is no secret."""

    def __init__(self, config, layout):
        super().__init__(config, layout, 1)

    def loss(self, batch, rng):
        assert batch.target.flat.shape == (len(batch), 0)
        objects = batch.condition.objects["objects"]
        off = (self.head(self.backbone(objects)).squeeze(2) - objects.values[:, :, 1]) ** 2
        return Losses((off * objects.mask).sum(dim=1) / objects.mask.sum(dim=1).clamp(min=1))
