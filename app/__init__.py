"""signalr-bridge: the Azure Functions SignalR Service bindings as a container that any backend can call."""

__version__ = "0.1.0"
