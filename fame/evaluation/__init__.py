"""What a trained encoder is asked: finetuning, linear probe, retrieval, and the analyses of the figures."""
