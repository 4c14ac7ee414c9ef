"""pCCGAN (Rai, Bhatt, Patra 2023), in this project's own reading."""
