"""The SignalR instances: their credentials, their health, how they are called, and which of them to call."""
