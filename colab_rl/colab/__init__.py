"""The notebooks' cells, and what is Colab's own."""
