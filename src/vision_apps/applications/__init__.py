"""What can be trained: one folder an application. They never import each other."""
