"""Checks of this repository that no tool from outside makes."""
