"""Systems: anything that answers prompts. Every study compares systems and knows no model."""

from veneer.systems.respond import respond
from veneer.systems.responses import Response, read_responses, write_responses
from veneer.systems.system import System

__all__ = ["Response", "System", "read_responses", "respond", "write_responses"]
