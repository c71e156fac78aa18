"""What `make lint` checks besides style and types."""
