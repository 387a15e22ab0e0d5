"""Runs side by side: what differs between their settings, what came of it, and how sure that is."""
