"""The guard as a server: OpenAI's interface in front of a local model or of another server."""

from guardmed.serve.app import create_app
from guardmed.serve.service import Service
from guardmed.serve.settings import Key, Limits, ServeSettings, load_keys, load_settings

__all__ = ["Key", "Limits", "ServeSettings", "Service", "create_app", "load_keys", "load_settings"]
