"""The engine: composition, runs, training and prediction. Knows no application."""
