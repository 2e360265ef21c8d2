"""The dashboards as one HTML file."""
