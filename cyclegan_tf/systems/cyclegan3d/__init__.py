"""CycleGAN in three dimensions (after davidiommi/3D-CycleGan-Pytorch-MedImaging)."""
