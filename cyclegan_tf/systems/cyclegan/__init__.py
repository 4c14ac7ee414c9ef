"""CycleGAN (Zhu, Park, Isola, Efros 2017)."""
