"""pix2pix (Isola, Zhu, Zhou, Efros 2017)."""
