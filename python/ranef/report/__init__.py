"""Numbers to text, frames and figures."""
