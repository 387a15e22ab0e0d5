"""What is on disk: one file per format or public set, and the augmentation of whole batches."""
