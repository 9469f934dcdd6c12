"""A variational autoencoder of scaled targets, whose two sides may see the event."""

from __future__ import annotations

from typing import final

import torch
from pydantic import Field
from torch import Tensor, nn

from castalia.data.strict import StrictModel
from castalia.nn.mlp import MLP

__all__ = ["AutoencoderConfig", "LatentNormalisation", "VariationalAutoencoder"]

_NARROWEST = 0.003  # least width of a decoded target: where one follows from others, the likelihood stays finite
_FIRST_LOG_WIDTH = -2.0
_MOMENTUM = 0.02
_VARIANCE_FLOOR = 1e-4


@final
class AutoencoderConfig(StrictModel):
    """Configuration of ``VariationalAutoencoder``.

    Attributes:
        latent: Latent variables.
        hidden: Widths of the hidden layers of the encoder and, reversed, of the decoder.
        encoder_sees_event: Whether the encoder is given the event's vector beside the targets.
        decoder_sees_event: Whether the decoder is given it beside the latent variables.
        beta: Factor on the divergences and the diffusion loss, against the reconstruction. With fixed decoder widths it
            is their square, but for a common factor.
        learned_widths: Learn a width of each decoded target, and draw from the normal distribution it stands for;
            otherwise all errors count alike, and what is decoded is taken as it is.
    """

    latent: int = Field(default=32, ge=1)
    hidden: tuple[int, ...] = Field(default=(256, 256), min_length=1)
    encoder_sees_event: bool = False
    decoder_sees_event: bool = False
    beta: float = Field(default=1.0, gt=0)
    learned_widths: bool = True


@final
class LatentNormalisation(nn.Module):
    """Gives each latent variable mean zero and variance one over all events, so that no scale is left to collapse.

    In a training step by the weighted moments of the batch, otherwise by their running averages.

    Args:
        columns: Number of latent variables, ``L``.

    References:
        Ioffe and Szegedy, Batch normalization (arXiv:1502.03167), without factor and offset.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("variance", torch.ones(columns))

    def forward(self, values: Tensor, weight: Tensor | None) -> Tensor:
        """Normalise.

        Args:
            values: Shape ``(events, L)``.
            weight: Event weights of a training step, shape ``(events,)``, or ``None``.
        """
        mean, variance = self.mean, self.variance
        if weight is not None:
            size = weight.abs().to(values)[:, None]
            share = size / size.sum().clamp(min=torch.finfo(values.dtype).tiny)
            mean = (share * values).sum(0)
            variance = (share * (values - mean).square()).sum(0)
            with torch.no_grad():
                self.mean.lerp_(mean, _MOMENTUM)
                self.variance.lerp_(variance, _MOMENTUM)
        return (values - mean) * (variance + _VARIANCE_FLOOR).rsqrt()


@final
class VariationalAutoencoder(nn.Module):
    """Two fully connected networks, with normal distributions of the latent variables and of the targets.

    Args:
        variables: Number of targets, ``T``.
        condition: Length of an event's vector, ``C``.
        config: Configuration.
        variance: Whether the encoder gives the latent variables a variance; otherwise a diffusion adds the noise.
        normalise: Whether the means of the latent variables are normalised.

    Attributes:
        latent: Number of latent variables, ``L``.
        beta: Factor on all losses but the reconstruction.

    References:
        Kingma and Welling, Auto-encoding variational Bayes (arXiv:1312.6114); Rybkin, Daniilidis and Levine, Simple and
        effective VAE training with calibrated decoders (arXiv:2006.13202), the learned widths.
    """

    def __init__(
        self, variables: int, condition: int, config: AutoencoderConfig, variance: bool, normalise: bool
    ) -> None:
        super().__init__()
        self.latent, self.beta = config.latent, config.beta
        self._encoder_sees, self._decoder_sees = config.encoder_sees_event, config.decoder_sees_event
        outputs, hidden = config.latent * (2 if variance else 1), config.hidden
        seen = condition if self._encoder_sees else 0
        self.encoder = MLP(variables + seen, outputs, hidden, activation="silu")
        seen = condition if self._decoder_sees else 0
        self.decoder = MLP(config.latent + seen, variables, hidden[::-1], activation="silu")
        self.normalisation = LatentNormalisation(config.latent) if normalise else None
        # Narrow widths make reconstruction come first; a decoder that is to learn from the event as well begins wide.
        first = torch.full((variables,), _FIRST_LOG_WIDTH if normalise else 0.0)
        self.log_widths = nn.Parameter(first) if config.learned_widths else None

    def encode(self, target: Tensor, vectors: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the latent variables.

        Args:
            target: Scaled targets, shape ``(events, T)``.
            vectors: Encoded events, shape ``(events, C)``.
            weight: Event weights in a training step, by which the normalisation is measured; ``None`` to apply what was
                measured before.

        Returns:
            Shape ``(events, L)`` each; the log-variances have no columns where there is no variance.
        """
        encoded = self.encoder(torch.cat([target, vectors], dim=1) if self._encoder_sees else target)
        mean, log_variance = encoded[:, : self.latent], encoded[:, self.latent :]
        if self.normalisation is not None:
            mean = self.normalisation(mean, weight)
        return mean, log_variance

    def decode(self, latent: Tensor, vectors: Tensor) -> Tensor:
        """Return what latent variables, ``(events, L)``, mean: scaled targets, ``(events, T)``."""
        decoded: Tensor = self.decoder(torch.cat([latent, vectors], dim=1) if self._decoder_sees else latent)
        return decoded

    def reconstruction_loss(self, target: Tensor, decoded: Tensor) -> Tensor:
        """Return half the squared error, or the negative log-density by the learned widths but for a constant.

        Args:
            target: Scaled targets, shape ``(events, T)``.
            decoded: What came back, same shape.

        Returns:
            Shape ``(events,)``.
        """
        error = (decoded - target).square()
        if self.log_widths is None:
            return 0.5 * error.sum(1)
        widths = self._widths(self.log_widths)
        return (0.5 * error / widths.square() + widths.log()).sum(1)

    def spread(self, decoded: Tensor, noise: Tensor) -> Tensor:
        """Draw targets around decoded ones where widths are learned.

        Args:
            decoded: Shape ``(events, T)``.
            noise: Standard normal, same shape.
        """
        return decoded if self.log_widths is None else decoded + self._widths(self.log_widths) * noise

    def _widths(self, logarithms: Tensor) -> Tensor:
        return _NARROWEST + logarithms.exp()
