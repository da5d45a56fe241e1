"""Tests of deploy/: the image, the chart, the unit, the rules and the dashboard."""
