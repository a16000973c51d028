"""The set of SignalR instances: who they are, how to reach them, which are well, and which to ask."""
