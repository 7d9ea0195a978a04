"""CLIP beside the fusion networks: image features, text features and descriptions of scenes."""
