"""Long texts read to the encoder's limit only: which settings ask for it, and which cannot."""

from __future__ import annotations

import pytest

from veneer.foundation.errors import InputError
from veneer.studies.diversity.settings import DiversitySettings
from veneer.studies.recovery.settings import RecoverySettings


def test_cut_without_anything_embedded_is_refused():
    with pytest.raises(InputError, match="nothing is embedded"):
        DiversitySettings(cut=True, embedder="none")
    with pytest.raises(InputError, match="nothing is embedded"):
        RecoverySettings(cut=True, measures=("lexical",), variants=())


def test_settings_of_older_folders_stay_the_same():
    assert not {"cut", "encoder_layer"} & RecoverySettings().to_json().keys()
    assert RecoverySettings(cut=True).to_json()["cut"] is True
