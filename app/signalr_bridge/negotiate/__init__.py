"""Client → where to connect, with which token: the input binding over HTTP."""
