"""What is counted and measured, and the text that Prometheus reads."""
