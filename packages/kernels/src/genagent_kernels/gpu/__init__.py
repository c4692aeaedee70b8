"""Triton kernels. Imported only where they are used: machines without Triton need none of them."""
