"""The dashboards as one HTML file: `report` writes it."""

from colab_rl.views.report.build import WrittenReport, build_page, report, write_report

__all__ = ["WrittenReport", "build_page", "report", "write_report"]
