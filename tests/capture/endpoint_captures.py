"""A capture of what a model behind an endpoint answers."""

from pairs import prompts
from veneer.capture import Capture, CaptureConfig
from veneer.capture.run import capture_from
from veneer.capture.teachers.endpoint import RemoteTeacher
from veneer.endpoint import EndpointConfig
from veneer.models.decode import Sampling

HOW = CaptureConfig(8, batch_size=4, shard_batches=1, sampling=Sampling(12))


def endpoint(server, **how) -> EndpointConfig:
    return EndpointConfig(server.url, "aligned", first_wait=0.0, longest_wait=0.0, retries=1, **how)


def capture_of(server, base, out, *, n: int = 1, top: int = 0) -> Capture:
    """A capture of the answers to n prompts, with the `top` most likely tokens of each."""
    return capture_from(base, RemoteTeacher(base, endpoint(server), top), prompts(n), out, HOW)
