"""FastCUT (Park, Efros, Zhang, Zhu 2020)."""
