"""Unpaired CT <-> MRI translation: networks, losses, translators, training and inference."""
