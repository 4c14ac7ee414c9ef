"""UNIT (Liu, Breuel, Kautz 2017), the NIPS version."""
