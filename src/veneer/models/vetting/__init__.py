"""Checks of a stranger's model files before a library works with them: cheap ones of the text
first, and a child process with limits for what cannot be interrupted."""

from veneer.models.vetting.adapter import vet_adapter
from veneer.models.vetting.model_files import vet_files, vet_folder, weights_read

__all__ = ["vet_adapter", "vet_files", "vet_folder", "weights_read"]
