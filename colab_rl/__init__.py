"""colab_rl"""
