"""The dashboards as one HTML file: `report` writes it."""

from colab_rl.views.report.build import build_page, report

__all__ = ["build_page", "report"]
