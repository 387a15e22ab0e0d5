"""Visual question answering: a picture and questions about it, an answer to each."""
