"""An OpenAI-compatible image server: pipelines with micro-batching, or another maker."""

from genagent_tools.server.app import build_app, build_images_app
from genagent_tools.server.batch_queue import BatchConfig
from genagent_tools.server.config import ServerConfig
from genagent_tools.server.errors import ApiError
from genagent_tools.server.image_request import ImageRequest
from genagent_tools.server.metrics import RequestMetrics
from genagent_tools.server.picture_maker import Load, MadePicture, PictureMaker
from genagent_tools.server.pipelines import queue_full
from genagent_tools.server.run import bind, listen, serve, serve_app, server_options, url_of
from genagent_tools.server.served_model import ServedModel
from genagent_tools.server.service import ImageService

__all__ = [
    "ApiError",
    "BatchConfig",
    "ImageRequest",
    "ImageService",
    "Load",
    "MadePicture",
    "PictureMaker",
    "RequestMetrics",
    "ServedModel",
    "ServerConfig",
    "bind",
    "build_app",
    "build_images_app",
    "listen",
    "queue_full",
    "serve",
    "serve_app",
    "server_options",
    "url_of",
]
