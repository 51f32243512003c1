"""What the encoders learnt: temporal kernels (figure 3), activation maps (figure 1), mask quality (figure 4), background bias."""
