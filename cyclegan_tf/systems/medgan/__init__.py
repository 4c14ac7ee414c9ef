"""Cycle-MedGAN (Armanious et al. 2019)."""
