"""Networks: from observations to outputs."""
