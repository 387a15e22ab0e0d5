"""Re-ranking: the captions of a beam search in another order, by more than how likely they are."""
