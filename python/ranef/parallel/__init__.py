"""Where work runs and how far it is: engines, pools, threads, progress bars; no models."""
