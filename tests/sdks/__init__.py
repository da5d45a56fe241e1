"""Tests of the SDKs, by the tools of their own languages."""
