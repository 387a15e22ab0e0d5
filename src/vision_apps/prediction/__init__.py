"""Answers for a user's own pictures, videos and webcams."""
