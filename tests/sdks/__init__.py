"""Tests of the SDKs with the tools of their languages."""
