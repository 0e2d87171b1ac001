"""The systems of a transfer study by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from veneer.head.veneer import Veneer
from veneer.studies.transfer.models import TransferModels
from veneer.studies.transfer.names import shifted_system
from veneer.systems.alpha import Alpha
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.system import System


class TransferSystems:
    """The systems of a transfer, by name.

    veneer: the small base's. shifts: name of each shifted system -> its alpha. own, baked: veneers
    of the large base, once they are extracted. What answers with the large base's body ends at the
    same tokens, whatever its head: at either large model's end tokens and at the end of turn that
    the veneer recorded.
    """

    def __init__(
        self,
        models: TransferModels,
        veneer: Veneer,
        shifts: Mapping[str, Alpha],
        own: Veneer | None = None,
        baked: Veneer | None = None,
    ):
        self.models, self.veneer = models, veneer
        self.shifts, self.own, self.baked = shifts, own, baked
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
        return replace(
            self._one, alpha=alpha, name=shifted_system(alpha).name, stop_ids=self.stop_ids
        )

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

    def named(self, name: str) -> System | ShiftedSystem:
        """The system that `TransferSettings.names` calls so."""
        if name in self.shifts:
            return self.shifted(self.shifts[name])
        if name in ("base", "veneer", "baked"):
            return self.large(name, {"base": None, "veneer": self.own, "baked": self.baked}[name])
        return self.aligned() if name == "aligned" else self.reference(name)
