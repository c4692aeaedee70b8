"""The tools' check of a device's name, for code that loads a model and knows no tool."""

from genagent_tools.devices import device_problem

__all__ = ["device_problem"]
