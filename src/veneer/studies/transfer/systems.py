"""The systems of a transfer study by name."""

from __future__ import annotations

from dataclasses import replace

from veneer.head.veneer import Veneer
from veneer.studies.transfer.config import SHIFTED, TransferConfig
from veneer.studies.transfer.models import TransferModels
from veneer.systems.alpha import Alpha
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.system import System


class TransferSystems:
    """veneer: the small base's. What answers with the large base's body ends at the same
    tokens, whatever its head: at either large model's end tokens and at the end of turn that
    the veneer recorded."""

    def __init__(self, models: TransferModels, veneer: Veneer):
        self.models, self.veneer = models, veneer
        self._one = ShiftedSystem.of_models(
            models.large,
            models.small,
            veneer,
            format=models.large_format,
            small_format=models.small_format,
        )
        pair = models.large_pair
        self.stop_ids = tuple(sorted({*self._one.stop_ids, *(pair.stop_ids if pair else ())}))

    def shifted(self, alpha: Alpha) -> ShiftedSystem:
        """The large base with alpha of the small one's shift, as "shifted-ALPHA". The veneer is
        matched to the large vocabulary once."""
        return replace(self._one, alpha=alpha, name=f"{SHIFTED}{alpha}", stop_ids=self.stop_ids)

    def large(self, name: str, veneer: Veneer | None = None) -> System:
        """The large base, with a veneer of its own head where one is given."""
        m = self.models
        if veneer is None:
            return System(name, m.large, m.large_format, self.stop_ids)
        return replace(
            System.of_model(m.large, veneer, format=m.large_format, name=name),
            stop_ids=self.stop_ids,
        )

    def aligned(self) -> System:
        pair = self.models.large_pair
        assert pair is not None
        return System("aligned", pair.aligned, pair.aligned_format, pair.aligned_stop_ids)

    def reference(self, name: str) -> System:
        """small-base, small-veneer or small-aligned."""
        m = self.models
        with_veneer = System.of_model(m.small, self.veneer, format=m.small_format, name=name)
        if name == "small-veneer":
            return with_veneer
        if name == "small-base":
            return replace(with_veneer, head=None)
        pair = m.small_pair
        assert pair is not None
        return System(name, pair.aligned, pair.aligned_format, pair.aligned_stop_ids)

    def named(
        self, name: str, config: TransferConfig, own: Veneer | None, baked: Veneer | None
    ) -> System | ShiftedSystem:
        """The system that `TransferConfig.names` calls so."""
        by_alpha = {f"{SHIFTED}{a}": a for a in config.alphas}
        if name in by_alpha:
            return self.shifted(by_alpha[name])
        if name in ("base", "veneer", "baked"):
            return self.large(name, {"base": None, "veneer": own, "baked": baked}[name])
        return self.aligned() if name == "aligned" else self.reference(name)
