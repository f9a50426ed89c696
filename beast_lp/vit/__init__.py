"""The network: a Vision Transformer and its masked autoencoder, their weights, and their input."""
