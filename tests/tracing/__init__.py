"""Tests of traces, against a real receiver of OTLP."""
