"""Below the routes: the socket, and HTTP on each of its connections, with bounds on what a peer may send and take."""
