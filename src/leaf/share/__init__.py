"""What leaves LeaF: training rows for other trainers, trained models for the hub."""
